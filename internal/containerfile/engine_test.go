package containerfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name    string
		install map[string]string // program to its output
		want    string
		engine  string
		err     string
	}{
		{name: "order", install: map[string]string{"docker": "Docker version 28.2.2, build e6534b4", "podman": "podman version 4.3.1", "buildah": "buildah version 1.28.2 (image-spec 1.1.0-rc2, runtime-spec 1.0.2-dev)"}, engine: "buildah 1.28.2"},
		{name: "named", install: map[string]string{"podman": "podman version 5.0.0-rc1", "buildah": "buildah version 1.40.0"}, want: "podman", engine: "podman 5.0.0-rc1"},
		{name: "docker", install: map[string]string{"docker": "Docker version 28.2.2, build e6534b4"}, engine: "docker 28.2.2"},
		{name: "nothing", err: "no engine to build Containerfiles; apt-get install buildah runc slirp4netns"},
		{name: "not there", want: "podman", err: "podman is not installed; apt-get install podman slirp4netns"},
		{name: "old", install: map[string]string{"buildah": "buildah version 1.23.1"}, want: "buildah", err: "buildah 1.23.1 is too old: 1.28 or newer is needed; apt-get install buildah runc slirp4netns"},
		{name: "old, another", install: map[string]string{"buildah": "buildah version 1.23.1", "podman": "podman version 4.9.3"}, engine: "podman 4.9.3"},
		{name: "no buildx", install: map[string]string{"docker": "Docker version 28.2.2, build e6534b4", "nobuildx": ""},
			err: "no engine to build Containerfiles (docker 28.2.2 has no buildx); apt-get install buildah runc slirp4netns"},
		{name: "none", want: "none", install: map[string]string{"buildah": "buildah version 1.40.0"}, err: "engine is set to none: build Containerfile images on a machine with an engine, and copy dist"},
		{name: "unknown", want: "kaniko", err: `unknown engine "kaniko": expected buildah, podman, docker, buildkit or none`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for program, says := range tt.install {
				script := "#!/bin/sh\n[ \"$1\" = --version ] && echo '" + says + "' && exit\n"
				if _, ok := tt.install["nobuildx"]; !ok {
					script += "exit 0\n"
				}
				if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			e, err := Detect(context.Background(), Choice{Name: tt.want})
			if errorText(err) != tt.err {
				t.Errorf("error %v, want %s", err, tt.err)
			}
			if err == nil && e.String() != tt.engine {
				t.Errorf("got %s, want %s", e, tt.engine)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"GITHUB_TOKEN": "x", "COSIGN_PASSWORD": "x", "BUILDAH_FORMAT": "docker", "STORAGE_OPTS": "x", "REGISTRY_AUTH_FILE": "/a", "https_proxy": "http://p",
	} {
		t.Setenv(name, value)
	}
	env := environment()
	for _, want := range []string{"REGISTRY_AUTH_FILE=/a", "https_proxy=http://p", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, kv := range env {
		for _, not := range []string{"GITHUB_TOKEN", "COSIGN_PASSWORD", "BUILDAH_FORMAT", "STORAGE_OPTS"} {
			if strings.HasPrefix(kv, not+"=") {
				t.Errorf("%s is passed on", kv)
			}
		}
	}
	if !slices.Contains(environment(ownStorage...), "STORAGE_OPTS=x") {
		t.Error("STORAGE_OPTS is not passed to load")
	}
}

func TestReason(t *testing.T) {
	exit := errors.New("exit status 1")
	for _, tt := range []struct{ name, tail, want string }{
		{"buildah", "sh: x: not found\nError: building at STEP \"RUN echo \"a\": x\": while running runtime: exit status 127", `RUN echo "a": x: exit status 127`},
		{"old buildah", "error building at STEP \"RUN make\": error while running runtime: exit status 2", "RUN make: error while running runtime: exit status 2"},
		{"buildx", "#9 ERROR: x\nERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2", "/bin/sh -c make: exit status 2"},
		{"no driver", "ERROR: OCI exporter is not supported for the docker driver.", "OCI exporter is not supported for the docker driver."},
		{"logrus", `time="2026-01-01T00:00:00Z" level=fatal msg="Error: no such image"`, "no such image"},
		{"disk", "tar: f: No space left on device\nError: building at STEP \"RUN tar x\": exit status 1", noSpace},
		{"last words", "what\never\n", "ever"},
		{"silent", "", "exit status 1"},
	} {
		if got := reason(strings.Split(tt.tail, "\n"), exit); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFailureOfAFullDisk(t *testing.T) {
	out, err := newOutput(context.Background(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	out.disk = "/s"
	err = run(child{path: "/bin/sh", args: []string{"-c", "echo 'write /s/x: no space left on device' >&2; exit 1"}}, out)
	failed := failure("build", out, err)
	if want := "build: no space left on device below /s"; failed.Error() != want || !errors.Is(failed, syscall.ENOSPC) {
		t.Errorf("got %v, want %s", failed, want)
	}
}

func TestOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "log")
	var seen []string
	out, err := newOutput(context.Background(), path, func(l string) { seen = append(seen, l) })
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		out.Write([]byte("li"))
		out.Write([]byte("ne\nlast"))
		out.Write([]byte("\n"))
	}
	out.Write([]byte("unended"))
	tail := out.tail()
	if len(tail) != tailLines || tail[tailLines-1] != "unended" || len(seen) != 101 {
		t.Errorf("tail %q, %d lines", tail, len(seen))
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); strings.Count(string(b), "line\nlast\n") != 50 {
		t.Errorf("log %q", b)
	}
}

func TestParseReference(t *testing.T) {
	for in, want := range map[string]reference{
		"python":                      {"docker.io/library/python", "", ""},
		"python:3.13-alpine":          {"docker.io/library/python", "3.13-alpine", ""},
		"docker.io/python":            {"docker.io/library/python", "", ""},
		"astral/uv":                   {"docker.io/astral/uv", "", ""},
		"ghcr.io/a/b:1":               {"ghcr.io/a/b", "1", ""},
		"localhost:5000/a":            {"localhost:5000/a", "", ""},
		"a@sha256:" + hex:             {"docker.io/library/a", "", "sha256:" + hex},
		"localhost/a:1@sha256:" + hex: {"localhost/a", "1", "sha256:" + hex},
	} {
		got, err := parseReference(in)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "A", "a:b:c", "a@sha256:12", "a b", "a\nb"} {
		if got, err := parseReference(in); err == nil {
			t.Errorf("%q: got %+v, want an error", in, got)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error of several lines", in)
		}
	}
}
