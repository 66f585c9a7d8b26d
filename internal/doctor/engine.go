package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/fault"
)

// engine checks the configured engine, or looks for any, and tests how it isolates build steps.
func (s Subject) engine(ctx context.Context) []Check {
	const name = "engine"
	configured := s.Settings.Engine.Name
	if configured == "none" {
		return []Check{{Name: name, State: Note, Found: "none: Containerfiles are not built here"}}
	}
	engine, err := containerfile.Detect(ctx, s.Settings.Engine)
	if err == nil {
		return []Check{knownEngine(engine), s.isolation(ctx, engine)}
	}
	if configured != "" {
		return []Check{{Name: name, State: Missing, Found: fault.Reason(err) + "; libre.yaml or LIBRE_ENGINE asks for this engine", Fix: fault.Fix(err), Err: err}}
	}
	return []Check{{Name: name, State: Note, Found: fault.Reason(err) + " (for Containerfile components)", Fix: fault.Fix(err)}}
}

// isolation runs a build step as a build would.
func (s Subject) isolation(ctx context.Context, engine containerfile.Engine) Check {
	const name, fix = "build isolation", "apt-get install runc slirp4netns"
	builder := containerfile.NewBuilder(engine, filepath.Join(s.CacheDir, "containers"))
	builder.KeepAtMost(s.Settings.Limits.Storage)
	how, offline, err := builder.Confinement(ctx)
	switch {
	case err != nil && s.Settings.Build.TrustUpstream:
		check := failure(name, Note, err, fix)
		return Check{Name: name, State: Note, Found: check.Found + ": libre builds nevertheless, because build.trustUpstream is set", Fix: fix}
	case err != nil:
		check := failure(name, Note, err, fix)
		return Check{Name: name, State: Note, Found: check.Found + " (for Containerfile components)", Fix: check.Fix}
	case offline != "":
		return Check{Name: name, State: Note, Found: how, Fix: offline}
	}
	return ok(name, how)
}

// knownEngine names the vulnerabilities of the engine's version.
func knownEngine(engine containerfile.Engine) Check {
	unfixed := engine.Unfixed()
	if len(unfixed) == 0 || engine.Name == "docker" { // for docker, the version of the daemon counts, and isolation asks the daemon
		return ok("engine", engine.String())
	}
	return Check{Name: "engine", State: Note,
		Found: fmt.Sprintf("%s has %s, unless the distribution patched it: libre copies what steps mount from stages, and refuses cache ids and mount sources that are paths elsewhere",
			engine, strings.Join(unfixed, ", ")),
		Fix: "buildah 1.38.1 or podman 5.3.2, or newer"}
}
