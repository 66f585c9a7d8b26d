package containerfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/containerfile/buildkit"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/text"
)

// BuildKit configures the engine buildkit.
type BuildKit struct {
	buildkit.Daemon        // the variable BUILDKIT_HOST overrides Host
	Cache           string // the repository where the daemon keeps the results of steps; "": nowhere
	Registries      Registries
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

// detect asks the daemon for its version.
func (k BuildKit) detect(ctx context.Context) (Engine, error) {
	k.Host = cmp.Or(os.Getenv("BUILDKIT_HOST"), k.Host)
	if k.Host == "" {
		return Engine{}, &fault.Fault{Err: errors.New("the engine buildkit has no address of a daemon"), Fix: startBuildKit}
	}
	e := Engine{Name: "buildkit", BuildKit: k}
	facts, err := e.facts(ctx)
	if err != nil {
		return Engine{}, err
	}
	e.Version = text.Line(facts.Version)
	if !e.atLeast(oldestBuildKit) {
		return Engine{}, fmt.Errorf("BuildKit's daemon at %s is too old: it has version %s, and %d.%d or newer is needed", k.Host, e.Version, oldestBuildKit[0], oldestBuildKit[1])
	}
	return e, nil
}

// facts connects to the daemon, and asks what it is.
func (e Engine) facts(ctx context.Context) (buildkit.Facts, error) {
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
	return facts, nil
}

// buildKit is the engine buildkit: a daemon, which may be on another machine. It keeps bases and
// cache, and cleans them up by its own rules.
type buildKit struct {
	engine Engine
	out    *output
}

// fetch only returns the reference of a base.
func (r buildKit) fetch(b Base, o Origin) (fetched, error) { return referTo(b, o) }

func (r buildKit) resolve(_ Base, ref reference) (string, error) {
	known := r.engine.BuildKit.Registries
	if known == nil {
		return "", errors.New("it has no digest")
	}
	return known.Digest(r.out.ctx, ref.byTag())
}

// check checks what the daemon can do before anything is sent to it.
func (r buildKit) check(j *job) error {
	if len(j.CA) > 0 {
		return &fault.Fault{
			Err: errors.New("BuildKit's daemon cannot add certificates to steps: build.ca works only with buildah and podman"),
			Fix: "set engine: buildah in libre.yaml, or remove build.ca if steps do not need it",
		}
	}
	facts, err := r.engine.facts(r.out.ctx)
	if err != nil {
		return err
	}
	if _, err := r.engine.isolation(facts); err != nil {
		if !j.TrustUpstream {
			return err
		}
		if j.Warn != nil {
			j.Warn(isolationWarning(err))
		}
	}
	for _, i := range j.plan.used {
		s := &j.file.stages[i]
		if p := j.platformOf(i); runs(s) && !slices.Contains(facts.Platforms, p) {
			return j.file.errorf(s.line, "BuildKit's daemon at %s cannot run steps for %s: its worker has %s",
				r.engine.BuildKit.Host, p, text.Line(strings.Join(facts.Platforms, ", ")))
		}
	}
	return errors.Join(j.unsupported(r.engine)...)
}

// isolation describes how the daemon isolates steps from its machine. The daemon decides it: libre
// asks for no extra privileges. Steps in the network of this machine are an error.
func (e Engine) isolation(facts buildkit.Facts) (how string, err error) {
	how = fmt.Sprintf("containers of BuildKit's daemon %s at %s", e.Version, e.BuildKit.Host)
	switch {
	case facts.Network == "host" && e.BuildKit.IsLocal():
		return "", &fault.Fault{
			Err: fmt.Errorf("BuildKit's daemon at %s cannot isolate build steps from this machine: they have its network, with its loopback", e.BuildKit.Host),
			Fix: "start buildkitd with --oci-worker-net=bridge; or trust upstreams: set build: {trustUpstream: true} in libre.yaml",
		}
	case facts.Network == "host":
		how += ", with the network of the daemon"
	}
	return how, nil
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

func (r buildKit) build(j *job) error {
	if err := errors.Join(j.dropProxyArguments(), j.placeIgnoreFile()); err != nil {
		return err
	}
	agents, _, end, err := j.serveAgents("", os.Geteuid())
	if err != nil {
		return err
	}
	defer end()
	client, err := buildkit.Connect(r.engine.BuildKit.Daemon)
	if err != nil {
		return err
	}
	defer client.Close()
	r.out.forget()
	err = client.Build(r.out.ctx, r.request(j, agents))
	if err == nil {
		return nil
	}
	failed := failure("build", r.out, err)
	if r.out.ctx.Err() != nil {
		return failed
	}
	failed.Reason = text.Short(reason(failed.Tail, err), mostReason)
	if buildkit.IsGone(err) {
		failed.Reason = "BuildKit's daemon has ended: " + failed.Reason
		return &fault.Fault{Err: failed, Fix: startBuildKit}
	}
	return failed
}

// request returns what the daemon gets. Arguments are as for docker.
// https://github.com/moby/buildkit/blob/v0.34.2/docs/reference/buildctl.md
func (r buildKit) request(j *job, agents map[string]string) buildkit.Build {
	set := r.engine.BuildKit
	b := buildkit.Build{
		Options: map[string]string{
			"filename": filepath.Base(j.path), "platform": j.Platform,
			"build-arg:SOURCE_DATE_EPOCH": fmt.Sprint(j.Timestamp),
		},
		Folders: map[string]string{"dockerfile": filepath.Dir(j.path), "context": j.context},
		Layouts: map[string]string{}, Secrets: map[string][]byte{}, Agents: agents,
		Output: j.layout, Log: r.out,
	}
	if set.Registries != nil {
		b.Login = set.Registries.Credentials
	}
	if j.NoCache {
		b.Options["no-cache"] = ""
	}
	if j.Cache != "" {
		b.Options["build-arg:BUILDKIT_CACHE_MOUNT_NS"] = j.Cache
	}
	for _, argument := range slices.Concat(j.proxy.variables(), j.args) {
		if name, value, _ := strings.Cut(argument, "="); name != "SOURCE_DATE_EPOCH" {
			b.Options["build-arg:"+name] = value
		}
	}
	for id, value := range j.secrets {
		b.Secrets[id] = []byte(value)
	}
	for i, name := range slices.Sorted(maps.Keys(j.named)) {
		value, local := j.named[name], fmt.Sprintf("context%d", i)
		if image, ok := strings.CutPrefix(value, inLayout); ok {
			dir, digest, _ := strings.Cut(image, "@")
			b.Layouts[local] = dir
			value = inLayout + local + "@" + digest
		} else if !strings.HasPrefix(value, inRegistry) {
			b.Folders[local] = value
			value = "local:" + local
		}
		b.Options["context:"+name] = value
	}
	if set.Cache != "" && j.Cache != "" {
		ref := set.Cache + ":" + strings.ReplaceAll(j.Cache+"/"+j.Platform, "/", "-")
		b.Cache = buildkit.Cache{From: []string{ref}, To: []string{ref}}
	}
	return b
}
