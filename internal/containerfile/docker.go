package containerfile

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/text"
)

// docker is "docker buildx". Its daemon keeps bases and cache, and cleans them up by its
// own rules.
type docker struct {
	engine Engine
	out    *output
	tmp    string
}

func (d docker) child(args ...string) child {
	return child{path: d.engine.Path, args: args, env: append(environment(), "TMPDIR="+d.tmp)}
}

// fetch only returns the reference of a base.
func (d docker) fetch(b Base, o Origin) (fetched, error) { return referTo(b, o) }

// referTo returns how BuildKit finds a base, which it fetches by digest itself.
func referTo(b Base, o Origin) (fetched, error) {
	if o.Layout != "" {
		p, err := findImage(o.Layout, o.Ref, b.Platform)
		if err != nil {
			return fetched{}, err
		}
		return fetched{
			from:    "libre-base-" + p.top.Digest.Hex,
			context: inLayout + p.layout.Dir() + "@" + p.top.Digest.String(),
			digest:  p.top.Digest.String(),
		}, nil
	}
	ref, err := parseReference(b.Name)
	if err != nil {
		return fetched{}, err
	}
	name := ref.byDigest(o.Digest)
	return fetched{from: name, context: inRegistry + name, digest: o.Digest}, nil
}

// Named contexts that are images begin with these; others are folders.
// https://docs.docker.com/reference/cli/docker/buildx/build/#build-context
const (
	inLayout   = "oci-layout://"
	inRegistry = "docker-image://"
)

func (d docker) resolve(b Base, r reference) (string, error) {
	// buildx 0.13 prints a table for any template that begins with .Manifest.
	out, err := query(d.child("buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", r.byTag()), d.out)
	if err != nil {
		return "", failure("look up "+r.byTag(), d.out, err)
	}
	var manifest struct{ Digest string }
	if err := json.Unmarshal([]byte(out), &manifest); err != nil || !digestForm().MatchString(manifest.Digest) {
		return "", fmt.Errorf("docker buildx imagetools printed %q, expected a digest", text.Line(out))
	}
	return manifest.Digest, nil
}

// daemon is the relevant part of "docker info".
// https://docs.docker.com/reference/cli/docker/system/info/
type daemon struct {
	version string
	options string // security options: [name=seccomp,profile=builtin name=rootless]
	storage string // driver status: [[driver-type io.containerd.snapshotter.v1]]
}

// daemon queries docker's daemon.
func (d docker) daemon() (daemon, error) {
	out, err := query(d.child("info", "--format", "{{.ServerVersion}}\n{{.SecurityOptions}}\n{{.DriverStatus}}"), d.out)
	if err != nil {
		return daemon{}, failure("query docker's daemon", d.out, err)
	}
	lines := append(strings.SplitN(out, "\n", 3), "", "")
	if version := lines[0]; version == "" || strings.HasPrefix(version, "[") {
		err := failure("query docker's daemon", d.out, errors.New("it does not answer"))
		err.Reason = reason(err.Tail, err.Err)
		return daemon{}, &fault.Fault{Err: err, Fix: startDaemon}
	}
	return daemon{text.Line(lines[0]), text.Line(lines[1]), text.Line(lines[2])}, nil
}

const startDaemon = "start docker's daemon, or set engine: buildah in libre.yaml"

// lostDaemon matches the last error of buildx after its daemon has ended: gRPC's error for a
// lost connection.
// https://grpc.github.io/grpc/core/md_doc_statuscodes.html
var lostDaemon = lazyregexp.New(`(?:code = |^)Unavailable\b|grpc: the client connection is closing|Cannot connect to the Docker daemon`)

// lostSession matches BuildKit's error for a lost connection to its client, which happens now and
// then on a busy machine.
// https://github.com/moby/buildkit/issues/748
var lostSession = lazyregexp.New(`only one connection allowed`)

// retryLostSession runs a build by BuildKit, and once more if BuildKit lost the connection.
func retryLostSession(out *output, build func() error) error {
	err := build()
	if err != nil && out.ctx.Err() == nil && lostSession().MatchString(reason(out.tail(), err)+err.Error()) {
		return build()
	}
	return err
}

// confinement describes how the daemon isolates steps from its machine. It runs them in
// containers, and libre requests no extra privileges. A vulnerable daemon is an error.
func (d docker) confinement() (how string, err error) {
	has, err := d.daemon()
	if err != nil {
		return "", err
	}
	return has.confinement()
}

func (has daemon) confinement() (how string, err error) {
	if unfixed := has.engine().Unfixed(); len(unfixed) > 0 {
		return "", &fault.Fault{
			Err: fmt.Errorf("docker's daemon %s cannot isolate build steps from its machine: it is vulnerable to %s", has.version, strings.Join(unfixed, ", ")),
			Fix: "install docker 25.0.2 or newer, or buildah; or trust upstreams: set build: {trustUpstream: true} in libre.yaml",
		}
	}
	how = "containers of docker's daemon " + has.version
	if !strings.Contains(has.options, "name=rootless") && !strings.Contains(has.options, "name=userns") {
		how += ", where root in steps is root of its machine (rootless mode or userns-remap prevents it)"
	}
	return how, nil
}

// engine returns the daemon as an engine: docker's client may have another version.
func (has daemon) engine() Engine { return Engine{Name: "docker", Version: has.version} }

// checkIsolation refuses a vulnerable daemon, or warns if upstreams are trusted.
func (has daemon) checkIsolation(j *job) error {
	_, err := has.confinement()
	if err == nil || !j.TrustUpstream {
		return err
	}
	if j.Warn != nil {
		j.Warn(isolationWarning(err))
	}
	return nil
}

// check checks the daemon's isolation and features. Other builders than the daemon's own
// have unknown versions; they report unsupported features before their first step.
func (d docker) check(j *job) error {
	if len(j.CA) > 0 {
		return &fault.Fault{
			Err: errors.New("docker's daemon cannot add certificates to steps: build.ca works only with buildah and podman"),
			Fix: "set engine: buildah in libre.yaml, or remove build.ca if steps do not need it",
		}
	}
	has, err := d.daemon()
	if err != nil {
		return err
	}
	if err := has.checkIsolation(j); err != nil {
		return err
	}
	builder, err := query(d.child("buildx", "inspect"), d.out)
	if err == nil && !ownBuilder().MatchString(builder) {
		return nil
	}
	if !strings.Contains(has.storage, "io.containerd.snapshotter") {
		// https://docs.docker.com/engine/storage/containerd/
		return &fault.Fault{
			Err: fmt.Errorf("docker's daemon %s cannot export an OCI layout without the containerd image store", has.version),
			Fix: `set {"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json, or engine: buildah in libre.yaml`,
		}
	}
	return errors.Join(j.unsupported(has.engine())...)
}

var ownBuilder = lazyregexp.New(`(?m)^Driver:\s+docker$`)

func (d docker) build(j *job) error {
	if err := j.dropProxyArguments(); err != nil {
		return err
	}
	if err := j.placeIgnoreFile(); err != nil {
		return err
	}
	secrets, variables := j.secretFlags()
	agents, _, end, err := j.serveAgents("", os.Geteuid())
	if err != nil {
		return err
	}
	defer end()
	ch := d.child(d.buildArgs(j, slices.Concat(secrets, sshFlags(agents)))...)
	ch.env = slices.Concat(slices.DeleteFunc(ch.env, isProxy), variables, j.proxy.variables())
	if err := retryLostSession(d.out, func() error { return run(ch, d.out) }); err != nil {
		failed := failure("build", d.out, err)
		if lostDaemon().MatchString(failed.Reason) {
			failed.Reason = "docker's daemon has ended: " + failed.Reason
			return &fault.Fault{Err: failed, Fix: startDaemon}
		}
		return failed
	}
	if !exists(filepath.Join(j.layout, layout.IndexFile)) {
		return fmt.Errorf("docker buildx wrote no image to %s", j.layout)
	}
	return nil
}

// placeIgnoreFile writes the ignore file beside the Containerfile, where BuildKit looks for it.
func (j *job) placeIgnoreFile() error {
	if j.ignore == "" {
		return nil
	}
	data, err := os.ReadFile(j.ignore)
	if err != nil {
		return err
	}
	return os.WriteFile(j.path+".dockerignore", data, 0o644)
}

// buildArgs returns the command line of a build. flags are the flags for secrets and agents.
func (d docker) buildArgs(j *job, flags []string) []string {
	args := []string{
		"buildx", "build",
		"--progress=plain",
		"--platform", j.Platform,
		"--provenance=false", "--sbom=false",
		"--output", csvLine(
			"type=oci", "tar=false", "dest="+j.layout,
			// SOURCE_DATE_EPOCH sets the times. The caller compresses the layers, always in the
			// same way.
			"rewrite-timestamp=true", "compression=uncompressed", "force-compression=true",
		),
		"--build-arg=SOURCE_DATE_EPOCH=" + fmt.Sprint(j.Timestamp),
		"--file", j.path,
	}
	if j.NoCache {
		args = append(args, "--no-cache")
	}
	if j.Cache != "" {
		// https://github.com/moby/buildkit/blob/v0.12.0/frontend/dockerfile/docs/reference.md#buildkit-built-in-build-args
		args = append(args, "--build-arg=BUILDKIT_CACHE_MOUNT_NS="+j.Cache)
	}
	args = append(args, proxyArguments(j.proxy)...)
	for _, a := range j.args {
		if !strings.HasPrefix(a, "SOURCE_DATE_EPOCH=") {
			args = append(args, "--build-arg="+a)
		}
	}
	args = append(args, flags...)
	args = append(args, j.contextFlags()...)
	return append(args, "--", j.context)
}

// proxyArguments passes the proxy for builds to steps, by name. Without a proxy it passes empty
// values, because docker's client otherwise adds the ones in ~/.docker/config.json.
// https://docs.docker.com/engine/cli/proxy/
func proxyArguments(p proxy) []string {
	var args []string
	set := p.variables()
	for _, name := range proxies[:5] {
		for _, name := range []string{name, strings.ToLower(name)} {
			if slices.ContainsFunc(set, func(variable string) bool { return strings.HasPrefix(variable, name+"=") }) {
				args = append(args, "--build-arg="+name)
			} else {
				args = append(args, "--build-arg="+name+"=")
			}
		}
	}
	return args
}

// dropProxyArguments removes ARG declarations of proxies from the rewritten file, and
// keeps the lines of other instructions. Steps have these arguments without declaration,
// but the history would contain the value of a declared one.
// https://docs.docker.com/reference/dockerfile/#predefined-args
func (j *job) dropProxyArguments() error {
	text, err := os.ReadFile(j.path)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for _, i := range j.plan.used {
		for _, c := range j.file.stages[i].Commands {
			arg, ok := c.(*instructions.ArgCommand)
			if !ok {
				continue
			}
			var kept []string
			for _, a := range arg.Args {
				_, set := j.Args[a.Key]
				switch {
				case !set && slices.Contains(proxies[:5], strings.ToUpper(a.Key)):
				case a.Value != nil:
					kept = append(kept, a.Key+"="+*a.Value)
				default:
					kept = append(kept, a.Key)
				}
			}
			if len(kept) == len(arg.Args) {
				continue
			}
			at := lines[firstLine(c.Location())-1 : lastLine(c.Location())]
			clear(at)
			if len(kept) > 0 {
				at[0] = "ARG " + strings.Join(kept, " ")
			}
		}
	}
	return os.WriteFile(j.path, []byte(strings.Join(lines, "\n")), 0o644)
}

// csvLine quotes fields with commas and quotes, for flags that are lines of CSV: --output
// of docker, --file of buildah and podman.
func csvLine(fields ...string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(fields) // a strings.Builder takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
