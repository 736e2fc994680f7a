# Pictures of the README and docs/.

.PHONY: pictures
pictures: stack-programs ## make the pictures of the README again, with Debian's chromium
	@tests/setup.sh chromium
	@DEFAULT_ENVOY=$(FIRST_ENVOY) tests/tools/pictures/pictures.sh chromium
