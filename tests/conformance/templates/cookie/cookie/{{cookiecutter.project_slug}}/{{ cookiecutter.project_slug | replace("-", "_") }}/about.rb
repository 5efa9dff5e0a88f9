"""{{ cookiecutter.project_name }}"""
AUTHORS = {{ cookiecutter.authors | jsonify }}
PRIVATE = {{ cookiecutter.private }}
