# Where what is slow to build is kept between runs, outside the checkout: $STEPSEAL_CACHE, or a folder in the user's cache.
STEPSEAL_CACHE=${STEPSEAL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/stepseal}
export STEPSEAL_CACHE
