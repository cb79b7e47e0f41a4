# Pulp's settings for the tests. All that it keeps lies in $PULP_FOLDER; where its two servers listen is in the environment too.
import os

folder = os.environ["PULP_FOLDER"]
api = "http://" + os.environ.get("PULP_API_ADDRESS", "127.0.0.1:1")

SECRET_KEY = "only tests use this"
DB_ENCRYPTION_KEY = f"{folder}/keys/database"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "HOST": f"{folder}/database", "USER": "pulp", "NAME": "pulp"}
}
DEPLOY_ROOT = f"{folder}/state"
MEDIA_ROOT = f"{folder}/state/media"
WORKING_DIRECTORY = f"{folder}/state/tmp"
FILE_UPLOAD_TEMP_DIR = f"{folder}/state/tmp"
STATIC_ROOT = f"{folder}/state/assets"
CONTENT_ORIGIN = "http://" + os.environ.get("PULP_CONTENT_ADDRESS", "127.0.0.1:1")
TOKEN_SERVER = f"{api}/token/"
TOKEN_SIGNATURE_ALGORITHM = "ES256"
PRIVATE_KEY_PATH = f"{folder}/keys/private.pem"
PUBLIC_KEY_PATH = f"{folder}/keys/public.pem"
# The cache is Redis, which nothing else needs.
CACHE_ENABLED = False
ANALYTICS = False
# The password is hashed for each token, which is not what is looked at here.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
