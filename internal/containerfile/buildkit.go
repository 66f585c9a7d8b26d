package containerfile

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/containerfile/buildkit"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/text"
)

// buildKit is the engine buildkit: a daemon, which may be on another machine. It keeps bases and
// cache, and cleans them up by its own rules.
type buildKit struct {
	engine Engine
	out    *output
}

// fetch only returns the reference of a base.
func (r *buildKit) fetch(b Base, o Origin) (fetched, error) { return referTo(b, o) }

func (r *buildKit) resolve(_ Base, ref reference) (string, error) {
	known := r.engine.BuildKit.Registries
	if known == nil {
		return "", errors.New("it has no digest")
	}
	return known.Digest(r.out.ctx, ref.byTag())
}

// check checks what the daemon can do before anything is sent to it.
func (r *buildKit) check(j *job) error {
	if len(j.CA) > 0 {
		return &fault.Fault{
			Err: errors.New("BuildKit's daemon cannot add certificates to steps: build.ca works only with buildah and podman"),
			Fix: "set engine: buildah in libre.yaml, or remove build.ca if steps do not need it",
		}
	}
	engine, facts, err := r.engine.daemonFor(r.out.ctx, j)
	if err != nil {
		return err
	}
	r.engine = engine
	if _, err := engine.isolation(facts); err != nil {
		if !j.TrustUpstream {
			return err
		}
		if j.Warn != nil {
			j.Warn(isolationWarning(err))
		}
	}
	return errors.Join(j.unsupported(engine)...)
}

func (r *buildKit) build(j *job) error {
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
	err = retryLostSession(r.out, func() error {
		r.out.forget()
		return client.Build(r.out.ctx, r.request(j, agents))
	})
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
func (r *buildKit) request(j *job, agents map[string]string) buildkit.Build {
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
