# Labels beside the routes of real applications; docs/applications.md has the result.

.PHONY: applications
applications: build ## put two open-source applications behind the filter, and compare labels with their routers
	@[ -n "$(ENVOY)" ] || tests/setup.sh envoy $(firstword $(ENVOY_VERSIONS))
	@tests/setup.sh applications
	@.tools/applications/bin/python -W ignore tests/tools/applications/compare.py \
		"$${ENVOY:-$(FIRST_ENVOY)}" dist/route-metrics dist/route_metrics.wasm --worst 5
