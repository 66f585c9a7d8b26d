package doctor

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/run/engine"
	"github.com/libresh/libre/internal/run/server"
)

// run looks for what only libre run needs.
func (s Subject) run(ctx context.Context) []Check {
	by, err := engine.Find(ctx, "")
	if err != nil {
		return []Check{{Name: "run engine", State: Note, Found: fault.Reason(err) + " (for libre run)", Fix: cmp.Or(fault.Fix(err), "apt-get install podman")}}
	}
	checks := []Check{ok("run engine", by)}
	if s.Settings.Layers.Compression == "zstd" && by == "docker" {
		version, err := engine.ClientVersion(ctx, by)
		checks[0] = dockerReadsZstd(version, err)
	}
	return append(checks, servers(ctx, by))
}

// dockerReadsZstd checks docker's version. Every version of podman that can run apps reads
// layers that are compressed by zstd, and so does libre with runc.
// https://docs.docker.com/engine/release-notes/23.0/
func dockerReadsZstd(version string, err error) Check {
	const name, fix = "run engine", "docker 23 or newer, or compression: gzip below layers in libre.yaml"
	if err != nil {
		return failure(name, Note, err, fix)
	}
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 23 {
		return Check{Name: name, State: Wrong, Found: "docker " + version + " cannot read zstd layers", Fix: fix}
	}
	return ok(name, "docker "+version)
}

// servers looks for this machine's servers, which libre run uses if the engine cannot fetch
// their images.
func servers(ctx context.Context, engine string) Check {
	const name = "run servers"
	var found, missing, fixes []string
	for _, kind := range []string{"postgres", "redis"} {
		what, err := server.Find(ctx, kind)
		if err == nil {
			found = append(found, what)
			continue
		}
		missing = append(missing, fault.Reason(err))
		fixes = append(fixes, cmp.Or(fault.Fix(err), "run libre as another user than root"))
	}
	if len(missing) == 0 {
		return ok(name, strings.Join(found, ", "))
	}
	instead := ": libre run needs images of what is missing"
	if engine == "runc" {
		instead = ": libre run cannot run an app that needs it, because runc cannot fetch images"
	}
	return Check{Name: name, State: Note, Found: strings.Join(append(found, strings.Join(missing, ", ")+instead), "; "), Fix: strings.Join(fixes, "; ")}
}
