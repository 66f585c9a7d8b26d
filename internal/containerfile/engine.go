package containerfile

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// Engine builds images: a program, or BuildKit's daemon.
type Engine struct {
	Name     string   // buildah, podman, docker or buildkit
	Path     string   // of the program, absolute
	Version  string   // as --version prints it: 1.28.2
	BuildKit BuildKit // for buildkit
}

func (e Engine) String() string { return e.Name + " " + e.Version }

// tool describes a supported engine.
type tool struct {
	name    string
	oldest  [2]int // first version with all flags used here
	install string
}

// tools lists engines in the order of preference: buildah has no daemon, and no state
// outside of its storage; docker needs a running daemon.
//
// Debian 12 has buildah 1.28 and podman 4.3.
var tools = []tool{
	{"buildah", [2]int{1, 28}, "apt-get install buildah runc slirp4netns"},
	{"podman", [2]int{4, 3}, "apt-get install podman slirp4netns"},
	{"docker", [2]int{23, 0}, "see https://docs.docker.com/engine/install/"},
}

// Choice says which engine to use.
type Choice struct {
	Name     string   // buildah, podman, docker or buildkit; "" is the first program that is usable, "none" is none
	BuildKit BuildKit // for buildkit
}

// Detect finds the chosen engine. The error says what to install.
func Detect(ctx context.Context, choice Choice) (Engine, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	want := choice.Name
	switch want {
	case "none":
		return Engine{}, errors.New("engine is set to none: build Containerfile images on a machine with an engine, and copy dist")
	case "buildkit":
		return choice.BuildKit.detect(ctx)
	}
	var unusable []string
	known := false
	for _, t := range tools {
		if want != "" && want != t.name {
			continue
		}
		known = true
		e, err := t.find(ctx)
		if err == nil {
			return e, nil
		}
		if want != "" {
			return Engine{}, &fault.Fault{Err: err, Fix: t.install}
		}
		if !errors.Is(err, exec.ErrNotFound) {
			unusable = append(unusable, err.Error())
		}
	}
	if !known {
		return Engine{}, fmt.Errorf("unknown engine %q: expected buildah, podman, docker, buildkit or none", want)
	}
	why := ""
	if len(unusable) > 0 {
		why = " (" + strings.Join(unusable, "; ") + ")"
	}
	return Engine{}, &fault.Fault{Err: errors.New("no engine to build Containerfiles" + why), Fix: tools[0].install}
}

var versionForm = lazyregexp.New(`(?i)version:? v?(\d+)\.(\d+)[^\s,]*`)

func (t tool) find(ctx context.Context) (Engine, error) {
	path, err := exec.LookPath(t.name)
	if err != nil {
		return Engine{}, fmt.Errorf("%s is not installed%w", t.name, hidden{exec.ErrNotFound})
	}
	out, err := runTool(ctx, path, "--version")
	if err != nil {
		return Engine{}, fmt.Errorf("%s --version: %w", path, err)
	}
	m := versionForm().FindStringSubmatch(out)
	if m == nil {
		return Engine{}, fmt.Errorf("%s --version printed %q, expected a version", path, out)
	}
	_, version, _ := strings.Cut(m[0], " ")
	e := Engine{Name: t.name, Path: path, Version: strings.TrimPrefix(version, "v")}
	if !e.atLeast(t.oldest) {
		return Engine{}, fmt.Errorf("%s is too old: %d.%d or newer is needed", e, t.oldest[0], t.oldest[1])
	}
	if t.name == "docker" {
		if _, err := runTool(ctx, path, "buildx", "version"); err != nil {
			return Engine{}, fmt.Errorf("%s has no buildx", e)
		}
	}
	return e, nil
}

// hidden is an error for errors.Is that is not printed.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

// runTool runs an engine and returns its output on one line.
func runTool(ctx context.Context, path string, args ...string) (string, error) {
	cmd := process.Command(ctx, path, args...)
	cmd.Env = environment()
	out, err := cmd.Output()
	return text.Line(string(out)), err
}

// atLeast compares major and minor numbers.
func (e Engine) atLeast(v [2]int) bool {
	var have [2]int
	for i, part := range strings.SplitN(e.Version, ".", 3) {
		if i < 2 {
			have[i], _ = strconv.Atoi(part)
		}
	}
	return have[0] > v[0] || have[0] == v[0] && have[1] >= v[1]
}

// keepsImages reports whether the engine has a daemon that keeps bases, and cleans them up by its
// own rules.
func (e Engine) keepsImages() bool { return e.Name == "docker" || e.Name == "buildkit" }

func (e Engine) tool() tool {
	for _, t := range tools {
		if t.name == e.Name {
			return t
		}
	}
	return tool{}
}
