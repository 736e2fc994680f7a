"""The wiki of PyPI's package `wiki`, with an admin, seeded content and SQLite.

Prints its port, and serves until its standard input ends. Each response says in `x-route` which route
Django's own resolver found. With `--routes` it prints its routes instead, as docs/routes.md does.
"""

import json
import os
import sys
import tempfile

import serving

directory = tempfile.TemporaryDirectory()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "")

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory.name + "/db"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=[
        "django.contrib.sites", "django.contrib.auth", "django.contrib.contenttypes",
        "django.contrib.sessions", "django.contrib.messages", "django.contrib.admin",
        "django.contrib.humanize", "django_nyt.apps.DjangoNytConfig", "mptt", "sekizai",
        "wiki.apps.WikiConfig", "wiki.plugins.notifications.apps.NotificationsConfig",
        "wiki.plugins.globalhistory.apps.GlobalHistoryConfig",
        "wiki.plugins.links.apps.LinksConfig", "wiki.plugins.help.apps.HelpConfig",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for this comparison",
    SITE_ID=1,
    STATIC_URL="/static/",
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": [
            "django.contrib.auth.context_processors.auth",
            "django.template.context_processors.debug",
            "django.template.context_processors.i18n",
            "django.template.context_processors.request",
            "django.template.context_processors.tz",
            "django.contrib.messages.context_processors.messages",
            "sekizai.context_processors.sekizai",
        ]},
    }],
    USE_TZ=True,
    WIKI_ACCOUNT_HANDLING=True,
)

import django

django.setup()

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import Resolver404, URLResolver, get_resolver, include, path, resolve
from django.urls.resolvers import RegexPattern

urlpatterns = [
    path("admin/", admin.site.urls),
    path("notifications/", include("django_nyt.urls")),
    path("", include("wiki.urls")),
]

ARTICLES = ["Handbook", "Onboarding", "Release process", "On call", "Postmortems", "Travel", "Benefits"]
PAGES = ["Overview", "Checklist", "Questions", "2025 plan", "History", "Contacts", "Glossary", "Tools"]


def seed():
    from wiki.models import URLPath

    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_superuser("ada", "ada@example.org", "ada")
    for number in range(12):
        get_user_model().objects.create_user(f"user{number}", f"user{number}@example.org", "user")
    root = URLPath.create_root(title="Wiki", content="The root")
    for title in ARTICLES:
        slug = title.lower().replace(" ", "-")
        section = URLPath.create_urlpath(
            root, slug, title=title, content="\n\n".join(PAGES), user_message="first",
            article_kwargs={"owner": user})
        for page in PAGES:
            URLPath.create_urlpath(
                section, page.lower().replace(" ", "-"), title=page, content=page,
                user_message="first", article_kwargs={"owner": user})


def route(target):
    try:
        return resolve(target.split("?")[0]).route
    except Resolver404:
        return None


def routes(patterns, front="/"):
    for entry in patterns:
        part = str(entry.pattern)
        if isinstance(entry.pattern, RegexPattern):
            part = part.removeprefix("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, front + part)
        else:
            yield front + part


if "--routes" in sys.argv:
    print(json.dumps({"openapi": "3.0.0", "paths": {path: {} for path in routes(get_resolver().url_patterns)}}))
    sys.exit()

seed()
serving.serve(get_wsgi_application(), lambda environ: route(environ["PATH_INFO"]))
directory.cleanup()
