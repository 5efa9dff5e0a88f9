"""Quotes: `{$quote: notes.txt#2}` stands for the second line of a file beside the entity's own."""

from collections.abc import Iterable

from greenroom import Contribution, Host, NoConfig, Placeholder, PlaceholderResolver, plugin


async def line(placeholder: Placeholder) -> str:
    file, _, number = placeholder.value.partition("#")
    content = await placeholder.read(placeholder.resolve(file))
    return content.decode().splitlines()[int(number) - 1]


@plugin("quotes", NoConfig)
def quotes(config: NoConfig, host: Host) -> Iterable[Contribution]:
    """Lines of files, quoted in entities."""
    yield PlaceholderResolver("quote", line)
