package containerfile

import (
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// honest is a typical build: two stages, steps that take seconds, a mount, a cache.
const honest = `FROM base AS build
COPY src /src
RUN busybox mkdir /o && for i in 1 2 3 4; do busybox dd if=/dev/urandom bs=1048576 count=24 2>/dev/null | busybox sha512sum > /o/$i; done
RUN --mount=type=cache,target=/root/.cache for i in 1 2 3 4; do busybox dd if=/dev/zero bs=1048576 count=40 2>/dev/null | busybox gzip | busybox sha256sum > /o/z$i; done
FROM base
COPY --from=build /o /o
RUN --mount=type=bind,from=build,source=/o,target=/m for i in 1 2 3 4; do busybox dd if=/dev/zero bs=1048576 count=40 2>/dev/null | busybox gzip | busybox sha256sum; done > /sum
CMD ["/bin/sh"]
`

// BenchmarkConfined compares builds with and without confinement, which alternate. "ratio" is
// the ratio of their times. "first" is the time to find the confinement, once per process.
func BenchmarkConfined(b *testing.B) {
	testkit.RequireRoot(b)
	testkit.Require(b, "buildah", "busybox", "runc", "slirp4netns")
	e, err := Detect(b.Context(), Choice{Name: "buildah"})
	if err != nil {
		b.Fatal(err)
	}
	dist := catalogueLayout(b, "base", busyboxIndex(b))
	source := write(b, map[string]string{"Containerfile": honest, "src/f": "x"})
	confined, trusted := NewBuilder(e, newStorage(b, e)), NewBuilder(e, newStorage(b, e))
	trusted.storage.openUnmapped(b.Context())
	trusted.storage.confined.once.Do(func() { trusted.storage.confined.why = "a benchmark" })
	build := func(builder *Builder) time.Duration {
		req := request(b, source, map[string]Origin{"base": {Layout: dist}})
		req.TrustUpstream = true
		started := time.Now()
		if _, err := builder.Build(b.Context(), req); err != nil {
			b.Fatal(describe(err))
		}
		return time.Since(started)
	}
	build(trusted) // fetches the base
	first := build(confined)
	for b.Loop() {
		var with, without time.Duration
		for range 3 {
			without += build(trusted)
			with += build(confined)
		}
		b.ReportMetric(with.Seconds()/without.Seconds(), "ratio")
		b.ReportMetric((first - with/3).Seconds(), "first-s")
	}
}
