package containerfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// containers is buildah or podman, which share their libraries and nearly all flags, on
// libre's own storage.
type containers struct {
	storage *storage
	out     *output
	tmp     string
}

func (c containers) podman() bool { return c.storage.engine.Name == "podman" }

// child prepares the engine with a subcommand. With policy, for subcommands that copy
// images, it gets the flags for a signature policy.
func (c containers) child(policy bool, args ...string) (child, error) {
	if policy {
		flags, err := c.storage.policyFlags()
		if err != nil {
			return child{}, err
		}
		args = append([]string{args[0]}, append(flags, args[1:]...)...)
	}
	return c.storage.child(c.storage.flags, args...), nil
}

// halfMade begins podman's error about an image without a manifest. Such an image may be one that
// another build is just making: podman reads all images to find one.
const halfMade = `locating item named "manifest" for image with ID`

// The other build needs a moment, and longer on a busy machine.
const (
	halfMadeTries = 20
	halfMadePause = 250 * time.Millisecond
)

// query runs the engine with a subcommand that may be repeated, and returns what it prints.
func (c containers) query(doing string, policy bool, args ...string) (string, error) {
	for try := 1; ; try++ {
		ch, err := c.child(policy, args...)
		if err != nil {
			return "", err
		}
		out, err := query(ch, c.out)
		if err == nil {
			return out, nil
		}
		failed := failure(doing, c.out, err)
		if try == halfMadeTries || !strings.Contains(failed.Reason, halfMade) {
			return "", failed
		}
		select {
		case <-time.After(halfMadePause):
		case <-c.out.ctx.Done():
			return "", failure(doing, c.out, err)
		}
	}
}

func (c containers) check(j *job) error {
	problems := j.unsupported(c.storage.engine)
	if len(c.storage.engine.Unfixed()) > 0 {
		problems = append(problems, j.checkMounts(j.contextFolders())...)
	}
	return errors.Join(problems...)
}

func (c containers) fetch(b Base, o Origin) (fetched, error) {
	f := fetched{digest: o.Digest}
	unlock, err := c.storage.lockImport(c.out.ctx, o)
	if err != nil {
		return fetched{}, err
	}
	defer unlock()
	var id string
	if o.Layout != "" {
		f.digest, id, err = c.fromLayout(b, o)
	} else {
		id, err = c.fromRegistry(b, o.Digest)
	}
	if err != nil {
		return fetched{}, err
	}
	if err := c.checkPlatform(b, id); err != nil {
		return fetched{}, err
	}
	config, err := c.storage.imageConfig(id)
	if err != nil {
		return fetched{}, err
	}
	if err := errors.Join(c.checkTriggers(config.triggers()), checkTriggerFeatures(c.storage.engine, config.triggers())); err != nil {
		return fetched{}, err
	}
	f.shell, f.onbuild = config.Config.Shell, len(config.Config.OnBuild)
	// The name protects it from pruning.
	if _, err := c.query("tag "+id, false, "tag", id, "localhost/libre-base:"+id); err != nil {
		return fetched{}, err
	}
	c.storage.use(id)
	// An ID is the digest of an image's configuration: unlike a name it cannot be
	// moved to another image by a concurrent build.
	f.from, f.context = id, "container-image://"+id
	return f, nil
}

func (c containers) fromRegistry(b Base, digest string) (id string, err error) {
	ref, err := parseReference(b.Name)
	if err != nil {
		return "", err
	}
	name := ref.byDigest(digest)
	pull := []string{"pull", "--quiet", "--platform", b.Platform}
	if c.podman() {
		// podman 4 always asks the registry, even for a digest that it has.
		out, err := c.query("look for "+name, false, "image", "inspect", "--format", "{{.Id}} {{.Os}}/{{.Architecture}}", name)
		id, platform, _ := strings.Cut(out, " ")
		if err == nil && samePlatform(platform, b.Platform) {
			return id, nil
		}
	} else {
		pull = append(pull, "--policy", "missing")
	}
	return c.pulled("fetch "+name, append(pull, name)...)
}

func (c containers) fromLayout(b Base, o Origin) (digest, id string, err error) {
	p, err := findImage(o.Layout, o.Ref, b.Platform)
	if err != nil {
		return "", "", err
	}
	digest = p.top.Digest.String()
	id = p.image.Config.Digest.Hex
	if _, err := c.platform(id); err == nil {
		return digest, id, nil // it is there already
	}
	dir := filepath.Join(c.tmp, "base-"+p.manifest.Digest.Hex)
	if err := p.asDir(dir); err != nil {
		return "", "", err
	}
	defer os.RemoveAll(dir)
	id, err = c.pulled("import "+o.Ref, "pull", "--quiet", "dir:"+dir)
	return digest, id, err
}

var idForm = lazyregexp.New(`^[0-9a-f]{64}$`)

// pulled runs a pull, and returns the ID in the last line of its output.
func (c containers) pulled(doing string, args ...string) (id string, err error) {
	out, err := c.query(doing, true, args...)
	if err != nil {
		return "", err
	}
	if id = lastLineOf(out); !idForm().MatchString(id) {
		return "", fmt.Errorf("%s pull printed %q, expected the ID of an image; run the same command again", c.storage.engine.Name, text.Short(id, 100))
	}
	return id, nil
}

// resolve pulls a tag and returns its current digest.
func (c containers) resolve(b Base, r reference) (string, error) {
	pull := []string{"pull", "--quiet", "--platform", b.Platform}
	if !c.podman() {
		pull = append(pull, "--policy", "always")
	}
	id, err := c.pulled("fetch "+r.byTag(), append(pull, r.byTag())...)
	if err != nil {
		return "", err
	}
	if c.podman() {
		return c.query("inspect "+r.byTag(), false, "image", "inspect", "--format", "{{.Digest}}", id)
	}
	// "buildah inspect" prints the digest of one platform. The list prints the digest of the
	// index.
	out, err := c.query("list images", false, "images", "--json", "--no-trunc")
	if err != nil {
		return "", err
	}
	var images []struct{ ID, Digest string }
	if err := json.Unmarshal([]byte(out), &images); err != nil {
		return "", fmt.Errorf("buildah images --json: %w", err)
	}
	for _, image := range images {
		if strings.TrimPrefix(image.ID, "sha256:") == id && digestForm().MatchString(image.Digest) {
			return image.Digest, nil
		}
	}
	return "", fmt.Errorf("buildah pulled %s but does not list it", r.byTag())
}

// platform returns an image's OS/ARCH. A missing image is an error.
func (c containers) platform(id string) (string, error) {
	if c.podman() {
		return c.query("inspect "+id, false, "image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", id)
	}
	return c.query("inspect "+id, false, "inspect", "--type", "image", "--format", "{{.OCIv1.OS}}/{{.OCIv1.Architecture}}", id)
}

// checkPlatform refuses an image of another platform, as a digest of a single manifest
// may name.
func (c containers) checkPlatform(b Base, id string) error {
	platform, err := c.platform(id)
	if err != nil {
		return err
	}
	if strings.Count(platform, "/") != 1 {
		return fmt.Errorf("%s inspect printed %q, expected OS/ARCH; run the same command again", c.storage.engine.Name, text.Short(platform, 100))
	}
	if !samePlatform(platform, b.Platform) {
		return fmt.Errorf("it is for %s, not for %s", platform, b.Platform)
	}
	return nil
}

// checkTriggers refuses a base with an ONBUILD that checkMounts would have to check.
func (c containers) checkTriggers(triggers []string) error {
	if len(c.storage.engine.Unfixed()) == 0 {
		return nil
	}
	for _, trigger := range triggers {
		if strings.Contains(trigger, "--mount") {
			return triggerError(trigger)
		}
	}
	return nil
}

// samePlatform compares OS and architecture; a variant is a preference.
func samePlatform(a, b string) bool {
	pa, pb := strings.SplitN(a, "/", 3), strings.SplitN(b, "/", 3)
	return len(pa) >= 2 && len(pb) >= 2 && pa[0] == pb[0] && pa[1] == pb[1]
}

func (c containers) build(j *job) error {
	iid := filepath.Join(j.tmp, "id")
	agents, short, end, err := j.serveAgents(c.storage.runRoot(), c.storage.owner())
	if err != nil {
		return err
	}
	ch, err := c.buildChild(j, iid, sshFlags(agents))
	if err != nil {
		end()
		return err
	}
	ch.env = append(ch.env, short...)
	err = run(ch, c.out)
	c.storage.killPauseProcess(filepath.Join(j.tmp, "engine"))
	for _, temp := range short {
		c.storage.killPauseProcess(strings.TrimPrefix(temp, "TMPDIR="))
	}
	end()
	if err != nil {
		return failure("build", c.out, err)
	}
	id, err := os.ReadFile(iid)
	if err != nil {
		return madeNothing("build", c.out)
	}
	dir := filepath.Join(j.tmp, "image")
	push := []string{"push", "--quiet", "--format", "v2s2"}
	if !c.podman() {
		push = append(push, "--disable-compression")
	}
	push = append(push, strings.TrimPrefix(strings.TrimSpace(string(id)), "sha256:"), "dir:"+dir)
	if ch, err = c.child(true, push...); err != nil {
		return err
	}
	if err := run(ch, c.out); err != nil {
		return failure("export the image", c.out, err)
	}
	if !exists(filepath.Join(dir, "manifest.json")) {
		return madeNothing("export the image", c.out)
	}
	if c.storage.mapped {
		if err := chownAll(dir, os.Geteuid()); err != nil {
			return err
		}
	}
	if err := toOCI(dir); err != nil {
		return err
	}
	if err := dropOverlayXattrs(dir); err != nil {
		return err
	}
	if len(j.plan.mounts) > 0 {
		if err := changeHistory(dir, j.plan.restore); err != nil {
			return err
		}
	}
	return layoutFromDir(j.layout, dir)
}

// buildChild prepares the build in the strictest confinement that works here. If none works and
// the catalogue's owner trusts upstreams, it prepares a build without confinement.
func (c containers) buildChild(j *job, iid string, agents []string) (child, error) {
	policy, err := c.storage.policyFlags()
	if err != nil {
		return child{}, err
	}
	secrets, variables := j.secretFlags()
	command := func(more ...[]string) []string {
		args := c.buildArgs(j, iid, slices.Concat(append(more, secrets, agents)...))
		return append([]string{args[0]}, append(policy, args[1:]...)...)
	}
	confinement, err := c.storage.confine(c.out.ctx)
	switch {
	case err == nil && confinement.isolation == "oci":
		c.warnOffline(j, confinement)
		env, err := j.stepEnv(j.tmp, confinement.runtime)
		if err != nil {
			return child{}, err
		}
		return c.storage.confinedChild(confinement, env.runtime, j.tmp, append(variables, env.engineVariables(confinement.runtime)...), command(confinement.flags(), env.flags()))
	case err != nil && (!j.TrustUpstream || c.out.ctx.Err() != nil):
		return child{}, err
	}
	// In a chroot there is no OCI runtime, so runtime.sh cannot set variables.
	if len(j.CA) > 0 && j.Warn != nil {
		j.Warn("its steps do not trust build.ca because they run in a chroot: apt-get install runc")
	}
	variables = append(variables, j.proxy.variables()...)
	if err == nil {
		c.warnOffline(j, confinement)
		return c.storage.confinedChild(confinement, "", j.tmp, variables, command(confinement.flags(), j.proxy.flags()))
	}
	if j.Warn != nil {
		j.Warn(isolationWarning(err))
	}
	ch := c.storage.child(c.storage.flags, command([]string{"--isolation", "chroot"}, j.proxy.flags())...)
	ch.env = append(slices.DeleteFunc(ch.env, isForFetching), variables...)
	return ch, nil
}

func (c containers) warnOffline(j *job, confinement *confinement) {
	if confinement.network == "" && j.Warn != nil {
		j.Warn("its steps have no network: " + confinement.offline)
	}
}

// isolationWarning returns the warning about a build without isolation.
func isolationWarning(why error) string {
	return "ITS STEPS CAN READ AND CHANGE THIS MACHINE, as build.trustUpstream in libre.yaml allows: " + why.Error()
}

// buildArgs returns the command line of a build, without the storage's flags. confinement has
// the flags for isolation, secrets and variables of RUN steps.
//
// With --layers every step makes a layer, so images with the same first steps share layers in a
// registry. No step comes from a cache: see storage.
func (c containers) buildArgs(j *job, iid string, confinement []string) []string {
	args := []string{
		"build",
		"--layers", "--no-cache",
		"--http-proxy=false", // the environment's proxies are for this machine, and may contain passwords
		"--force-rm",
		"--pull=never",
		"--format", "docker", // see toOCI
		"--platform", j.Platform,
		"--timestamp", fmt.Sprint(j.Timestamp),
		"--identity-label=false", // without it the label io.buildah.version would change the digest with each version
		"--iidfile", iid,
		"--file", csvLine(j.path),
	}
	args = append(args, confinement...)
	if j.ignore != "" {
		args = append(args, "--ignorefile", j.ignore)
	}
	for _, a := range j.args {
		args = append(args, "--build-arg="+a)
	}
	args = append(args, j.contextFlags()...)
	return append(args, "--", j.context)
}

// lastLineOf returns the ID that pull --quiet prints; older versions print notes before.
func lastLineOf(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "sha256:")
}
