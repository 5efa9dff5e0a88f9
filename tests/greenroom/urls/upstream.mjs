// Asks @backstage/integration what URLs it makes of others. Standard input: {"integrations": <config section>, "cases": [[ask, …]]};
// standard output: an answer for each case, in JSON: a URL, or {"thrown": message}. The package is found from where the process stands.
import { createRequire } from 'node:module';
import process from 'node:process';

const require = createRequire(`${process.cwd()}/`);
const { ConfigReader } = require('@backstage/config');
const theirs = require('@backstage/integration');

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { integrations, cases } = JSON.parse(Buffer.concat(chunks).toString());
const scm = theirs.ScmIntegrations.fromConfig(new ConfigReader({ integrations }));

const files = {
  github: (url, config) => theirs.getGithubFileFetchUrl(url, config, { token: config.token }),
  gitlab: (url, config) => theirs.getGitLabFileFetchUrl(url, config),
  bitbucketCloud: (url, config) => theirs.getBitbucketCloudFileFetchUrl(url, config),
  bitbucketServer: (url, config) => theirs.getBitbucketServerFileFetchUrl(url, config),
  azure: url => theirs.getAzureFileFetchUrl(url),
  gerrit: (url, config) => theirs.getGerritFileContentsApiUrl(config, url),
  gitea: (url, config) => theirs.getGiteaFileContentsUrl(config, url),
  harness: (url, config) => theirs.getHarnessFileContentsUrl(config, url),
};

// The hosts for whose archives the package has addresses. Bitbucket is asked for named branches only: it looks up the default one.
const archives = {
  bitbucketCloud: (url, config) => theirs.getBitbucketCloudDownloadUrl(url, config),
  bitbucketServer: (url, config) => theirs.getBitbucketServerDownloadUrl(url, config),
  azure: url => theirs.getAzureDownloadUrl(url),
  gerrit: (url, config) => theirs.buildGerritGitilesArchiveUrlFromLocation(config, url),
  gitea: (url, config) => theirs.getGiteaArchiveUrl(config, url),
  harness: (url, config) => theirs.getHarnessArchiveUrl(config, url),
};

const asks = {
  resolve: (url, base, lineNumber) => scm.resolveUrl({ url, base, lineNumber: lineNumber ?? undefined }),
  edit: url => scm.resolveEditUrl(url),
  file: url => {
    const { type, config } = scm.byUrl(url);
    return files[type](url, config);
  },
  archive: url => {
    const { type, config } = scm.byUrl(url);
    return archives[type](url, config);
  },
};

const answers = [];
for (const [ask, ...args] of cases) {
  try {
    answers.push(await asks[ask](...args));
  } catch (error) {
    answers.push({ thrown: String(error.message) });
  }
}
process.stdout.write(JSON.stringify(answers));
