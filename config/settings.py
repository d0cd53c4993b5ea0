"""Settings, all from the environment; docs/pages/this-project.md has them. ``make demo`` sets them for its clone."""

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environs import Env

from config import addresses
from config.logs import logging_from

env = Env()

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is missing. Set it in the environment to a long random text, or start with `make demo`, which "
        "makes one for its clone."
    )
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])

EMBEDDED = env.bool("EMBEDDED", False)
STATE_DIR = Path(env.str("STATE_DIR", str(BASE_DIR / ".makegood")))
if EMBEDDED:
    STATE_DIR.mkdir(parents=True, exist_ok=True)

# Intervals in the admin; without it, beat's schedule is a file. Its 2.9 does not go with Django 6.1.
BEAT_TABLES = ["django_celery_beat"] if env.bool("BEAT_TABLES", find_spec("django_celery_beat") is not None) else []
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "axes",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    *BEAT_TABLES,
    "outbox",
    "awards",
    "config",
]

MIDDLEWARE = [
    "config.middleware.without_body",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "outbox.admin.sessions.end_idle_sessions",
    "config.middleware.content_security_policy",
    "config.middleware.quiet_refusals",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
CSRF_FAILURE_VIEW = "outbox.admin.error_pages.csrf_failure"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# Five wrong passwords for a name from one address, and neither gets in together for a quarter of an hour.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "outbox.admin.client_address"
AXES_LOCKOUT_TEMPLATE = "outbox/desk/locked_out.html"
AXES_SENSITIVE_PARAMETERS: list[str] = []  # the log says who was locked out, and from where
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = env.str("LANGUAGE_CODE", "en")
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
TIME_ZONE = env.str("TIME_ZONE", "UTC")
USE_I18N = True
LOCALE_PATHS = [BASE_DIR / "awards" / "locale"]
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = DEBUG or EMBEDDED
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or EMBEDDED
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _database() -> dict[str, Any]:
    """Return the database asked for: embedded SQLite, or what ``DATABASE_URL`` names."""
    if EMBEDDED:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": STATE_DIR / "makegood.sqlite3",
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
            "TEST": {"NAME": STATE_DIR / "test.sqlite3"},
        }
    url = env.str("DATABASE_URL", "")
    if not url:
        raise ImproperlyConfigured(
            "DATABASE_URL is missing, for example postgres://user@host:5432/name. To try Makegood without services, "
            "use `make demo` (it sets EMBEDDED=1)."
        )
    return addresses.database(url)


DATABASES = {"default": _database()}

if EMBEDDED:
    _broker_dir = STATE_DIR / "broker"
    # All three, as Celery would take CELERY_BROKER_URL from the environment before the settings.
    CELERY_BROKER_URL = CELERY_BROKER_READ_URL = CELERY_BROKER_WRITE_URL = "outbox-files://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {"folder": str(_broker_dir), "polling_interval": 0.05}
else:
    CELERY_BROKER_URL = addresses.broker(env.str("CELERY_BROKER_URL", "") or "amqp://guest:guest@127.0.0.1:5672//")
if BEAT_TABLES:
    CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
else:
    STATE_DIR.mkdir(parents=True, exist_ok=True)
    CELERY_BEAT_SCHEDULE_FILENAME = str(STATE_DIR / "beat-schedule")
CELERY_TIMEZONE = "UTC"
CELERY_TASK_DEFAULT_QUEUE = env.str("OUTBOX_PREFIX", "makegood") + ".tasks"
# Straight to the queue: an exchange of its own would stay on the broker when the queue is deleted.
CELERY_TASK_DEFAULT_EXCHANGE = ""

LOGGING = logging_from(env.str("LOG_LEVEL", "WARNING"))

EMAIL_BACKEND = env.str("EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
EMAIL_HOST = env.str("EMAIL_HOST", "localhost")
EMAIL_PORT = env.int("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = env.float("EMAIL_TIMEOUT", 10.0)
EMAIL_FILE_PATH = env.str("EMAIL_FILE_PATH", "")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "makegood@localhost")
SITE_URL = env.str("SITE_URL", "")
CURRENCY = env.str("CURRENCY", "EUR")
PERSON_FIELD = env.str("PERSON_FIELD", "username")
RISK_CHECK = env.str("RISK_CHECK", "")

VENDOR_URL = env.str("VENDOR_URL", "http://127.0.0.1:8900")
VENDOR_ALLOWED_HOSTS = env.list("VENDOR_ALLOWED_HOSTS", ["127.0.0.1", "localhost"])
VENDOR_CONNECT_TIMEOUT = env.float("VENDOR_CONNECT_TIMEOUT", 2.0)
VENDOR_TIMEOUT = env.float("VENDOR_TIMEOUT", 5.0)

SMS_URL = env.str("SMS_URL", "")
SMS_ALLOWED_HOSTS: list[str] = env.list("SMS_ALLOWED_HOSTS", [])
SMS_TOKEN = env.str("SMS_TOKEN", "")
SMS_SENDER = env.str("SMS_SENDER", "Makegood")
SMS_CONNECT_TIMEOUT = env.float("SMS_CONNECT_TIMEOUT", 2.0)
SMS_TIMEOUT = env.float("SMS_TIMEOUT", 5.0)

WEBHOOK_ALLOWED_HOSTS: list[str] = env.list("WEBHOOK_ALLOWED_HOSTS", [])
WEBHOOK_CONNECT_TIMEOUT = env.float("WEBHOOK_CONNECT_TIMEOUT", 2.0)
WEBHOOK_TIMEOUT = env.float("WEBHOOK_TIMEOUT", 5.0)

OUTBOX: dict[str, Any] = {
    "PREFIX": env.str("OUTBOX_PREFIX", "makegood"),
    "PROXIES": env.int("PROXIES", 0),
    "REDIS_URL": env.str("REDIS_URL", ""),
    "METRICS_TOKEN": env.str("METRICS_TOKEN", ""),
    "ALERT_WEBHOOK": env.str("ALERT_WEBHOOK", ""),
    "BROKER_MANAGEMENT": env.str("BROKER_MANAGEMENT", ""),
}
# What everybody looks at is kept where all processes see it; without such a place, everybody reads it for himself.
CACHES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "pages": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}
if OUTBOX["REDIS_URL"]:
    CACHES["pages"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": OUTBOX["REDIS_URL"],
        "KEY_PREFIX": OUTBOX["PREFIX"],
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
elif EMBEDDED:
    CACHES["pages"] = {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": STATE_DIR / "pages",
    }
_admins: list[str] = env.list("ADMINS", [])
ADMINS = [("", address) for address in _admins]

if not DEBUG and not EMBEDDED:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", True)
    SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", True)
    SESSION_COOKIE_SECURE = env.bool("SESSION_COOKIE_SECURE", True)
    CSRF_COOKIE_SECURE = env.bool("CSRF_COOKIE_SECURE", True)
    if env.bool("BEHIND_TLS_PROXY", False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
