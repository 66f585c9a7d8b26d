package containerfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/containerfile/buildkit"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/text"
)

// BuildKit configures the engine buildkit.
type BuildKit struct {
	buildkit.Daemon
	Others     []string // addresses of more daemons, for other platforms; with the same files as Daemon
	Cache      string   // the repository where the daemons keep the results of steps; "": nowhere
	Registries Registries
}

// Registries is what libre knows of registries. The daemon fetches bases by itself.
type Registries interface {
	// Digest returns what a full reference points to.
	Digest(ctx context.Context, reference string) (string, error)
	// Credentials returns the login to a registry; both are "" if none is known.
	Credentials(host string) (user, password string, err error)
}

// oldestBuildKit is the first version with all features that libre knows, that of docker 29.1.
var oldestBuildKit = [2]int{0, 26}

const startBuildKit = "start buildkitd, and set BUILDKIT_HOST or buildkit.host in libre.yaml to its address"

// factsTime is how long a daemon may take to say what it is.
const factsTime = 20 * time.Second

// detect asks the first daemon for its version. The variable BUILDKIT_HOST replaces all of them.
func (k BuildKit) detect(ctx context.Context) (Engine, error) {
	if host := os.Getenv("BUILDKIT_HOST"); host != "" {
		k.Host, k.Others = host, nil
	}
	if k.Host == "" {
		return Engine{}, &fault.Fault{Err: errors.New("the engine buildkit has no address of a daemon"), Fix: startBuildKit}
	}
	e := Engine{Name: "buildkit", BuildKit: k}
	facts, err := e.facts(ctx)
	e.Version = facts.Version
	return e, err
}

// daemons returns an engine for each daemon.
func (e Engine) daemons() []Engine {
	all := []Engine{e}
	for _, host := range e.BuildKit.Others {
		other := e
		other.BuildKit.Host = host
		all = append(all, other)
	}
	return all
}

// facts connects to the daemon, and asks what it is. An old daemon is an error.
func (e Engine) facts(ctx context.Context) (buildkit.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, factsTime)
	defer cancel()
	client, err := buildkit.Connect(e.BuildKit.Daemon)
	if err != nil {
		return buildkit.Facts{}, err
	}
	defer client.Close()
	facts, err := client.Facts(ctx)
	if err != nil {
		fix := startBuildKit
		if strings.HasPrefix(e.BuildKit.Host, "tcp:") {
			fix = "start buildkitd there, and set ca, cert and key below buildkit in libre.yaml to files that fit it"
		}
		return facts, &fault.Fault{Err: err, Fix: fix}
	}
	facts.Version = text.Line(facts.Version)
	if e.Version = facts.Version; !e.atLeast(oldestBuildKit) {
		return facts, fmt.Errorf("BuildKit's daemon at %s is too old: it has version %s, and %d.%d or newer is needed",
			e.BuildKit.Host, facts.Version, oldestBuildKit[0], oldestBuildKit[1])
	}
	return facts, nil
}

// daemonFor returns the daemon for a build, of those that run its steps: the one whose own platform
// is the image's, else the first.
func (e Engine) daemonFor(ctx context.Context, j *job) (Engine, buildkit.Facts, error) {
	var found Engine
	var known buildkit.Facts
	var unable error
	for _, daemon := range e.daemons() {
		facts, err := daemon.facts(ctx)
		if err != nil {
			return e, facts, err
		}
		daemon.Version = facts.Version
		if err := daemon.checkPlatforms(j, facts.Platforms); err != nil {
			unable = cmp.Or(unable, err)
			continue
		}
		own := len(facts.Platforms) > 0 && facts.Platforms[0] == j.Platform
		if found.Name == "" || own {
			found, known = daemon, facts
		}
		if own {
			break
		}
	}
	if found.Name == "" {
		return e, known, unable
	}
	return found, known, nil
}

// checkPlatforms names the first stage with steps that a daemon's worker cannot run.
func (e Engine) checkPlatforms(j *job, platforms []string) error {
	for _, i := range j.plan.used {
		s := &j.file.stages[i]
		if p := j.platformOf(i); runs(s) && !slices.Contains(platforms, p) {
			return j.file.errorf(s.line, "BuildKit's daemon at %s cannot run steps for %s: its worker has %s",
				e.BuildKit.Host, p, text.Line(strings.Join(platforms, ", ")))
		}
	}
	return nil
}

// runs reports whether a stage runs programs.
func runs(s *stage) bool {
	return slices.ContainsFunc(s.Commands, func(c instructions.Command) bool {
		_, ok := c.(*instructions.RunCommand)
		return ok
	})
}

// platformOf returns the platform of a stage's steps.
func (j *job) platformOf(i int) string {
	from := j.plan.from[i]
	if from.platform == "" && from.stage != nil {
		return j.platformOf(j.file.stageAt(from.stage.line))
	}
	return cmp.Or(from.platform, j.Platform)
}

// isolation describes how the daemon isolates steps from its machine. The daemon decides it: libre
// asks for no extra privileges. Steps in the network of this machine are an error.
func (e Engine) isolation(facts buildkit.Facts) (how string, err error) {
	how = fmt.Sprintf("containers of BuildKit's daemon %s at %s", facts.Version, e.BuildKit.Host)
	switch {
	case facts.Network == "host" && e.BuildKit.IsLocal():
		return "", &fault.Fault{
			Err: fmt.Errorf("BuildKit's daemon at %s cannot isolate build steps from this machine: they have its network, with its loopback", e.BuildKit.Host),
			Fix: "start buildkitd with --oci-worker-net=bridge; or trust upstreams: set build: {trustUpstream: true} in libre.yaml",
		}
	case facts.Network == "host":
		how += ", with the network of the daemon"
	}
	return how + ", for " + text.Line(strings.Join(facts.Platforms, ", ")), nil
}

// isolations describes all daemons.
func (e Engine) isolations(ctx context.Context) (string, error) {
	var all []string
	for _, daemon := range e.daemons() {
		facts, err := daemon.facts(ctx)
		if err != nil {
			return "", err
		}
		how, err := daemon.isolation(facts)
		if err != nil {
			return "", err
		}
		all = append(all, how)
	}
	return strings.Join(all, "; "), nil
}
