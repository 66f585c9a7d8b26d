package state

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/release"
)

func TestUpstreamInstructions(t *testing.T) {
	file := &containerfile.FileConfig{
		File: "Dockerfile",
		Config: v1.Config{
			ExposedPorts: setOf([]string{"8000/tcp", "53/udp"}), Volumes: setOf([]string{"/data"}), User: "app", WorkingDir: "/srv",
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD-SHELL", "curl -f localhost"}, Interval: time.Minute, Retries: 2},
			Entrypoint:  []string{"/entry<point>"}, Cmd: []string{"serve"}, StopSignal: "SIGQUIT",
			Labels: map[string]string{"maintainer": "us", release.OCIPrefix + "vendor": "us", release.OCIPrefix + "version": "1", release.OCIPrefix + "created": "today", release.OCIPrefix + "licenses": "GPL"},
		},
		Lines: map[string]int{"EXPOSE": 2, "VOLUME": 3, "USER": 4, "WORKDIR": 5, "HEALTHCHECK": 6, "ENTRYPOINT": 7, "CMD": 8, "STOPSIGNAL": 9,
			"LABEL maintainer": 10, "LABEL " + release.OCIPrefix + "vendor": 10, "LABEL " + release.OCIPrefix + "version": 11, "LABEL " + release.OCIPrefix + "created": 11, "LABEL " + release.OCIPrefix + "licenses": 12},
	}
	made := &v1.Config{
		User: "7:7", WorkingDir: "/home", StopSignal: "SIGINT", ExposedPorts: setOf([]string{"80/tcp"}),
		Labels: map[string]string{"maintainer": "us", "traefik.enable": "true", release.OCIPrefix + "vendor": "us", release.OCIPrefix + "version": "1.0-1", release.LibrePrefix + "app": "one"},
	}
	about := catalog.Annotations{License: "MIT"}
	type instruction = catalog.UpstreamInstruction
	whole := func(instead map[string]string) []instruction {
		all := []instruction{
			{Instruction: "EXPOSE", Value: "53/udp 8000/tcp", From: "Dockerfile:2"},
			{Instruction: "VOLUME", Value: "/data", From: "Dockerfile:3"},
			{Instruction: "USER", Value: "app", From: "Dockerfile:4"},
			{Instruction: "HEALTHCHECK", Value: "--interval=1m0s --retries=2 CMD curl -f localhost", From: "Dockerfile:6"},
			{Instruction: "STOPSIGNAL", Value: "SIGQUIT", From: "Dockerfile:9"},
			{Instruction: "ENTRYPOINT", Value: `["/entry<point>"]`, From: "Dockerfile:7"},
			{Instruction: "CMD", Value: `["serve"]`, From: "Dockerfile:8"},
			{Instruction: "WORKDIR", Value: "/srv", From: "Dockerfile:5"},
			{Instruction: "LABEL maintainer", Value: "us", From: "Dockerfile:10"},
			{Instruction: "LABEL " + release.OCIPrefix + "created", Value: "today", From: "Dockerfile:11", Instead: "nothing"},
			{Instruction: "LABEL " + release.OCIPrefix + "licenses", Value: "GPL", From: "Dockerfile:12", Instead: "MIT"},
			{Instruction: "LABEL " + release.OCIPrefix + "vendor", Value: "us", From: "Dockerfile:10"},
			{Instruction: "LABEL " + release.OCIPrefix + "version", Value: "1", From: "Dockerfile:11", Instead: "1.0-1"},
		}
		for i := range all {
			if value, ok := instead[all[i].Instruction]; ok {
				all[i].Instead = value
			}
		}
		return all
	}
	for _, test := range []struct {
		name, definition string
		file             *containerfile.FileConfig
		made             *v1.Config
		want             []instruction
	}{
		{"nothing known", `{}`, nil, nil, nil},
		{"an empty Containerfile", `{}`, &containerfile.FileConfig{}, nil, []instruction{}},
		{"a silent definition", `{}`, file, nil, whole(nil)},
		{"a definition that agrees", `{"ports":[8000],"otherPorts":["53/udp"],"volumes":["/data"],"user":"app"}`, file, nil, whole(nil)},
		{"another port", `{"ports":[8080]}`, file, nil, whole(map[string]string{"EXPOSE": "8080/tcp"})},
		{"an entrypoint alone", `{"entrypoint":["/mine"]}`, file, nil, whole(map[string]string{"ENTRYPOINT": `["/mine"]`, "CMD": "nothing"})},
		{"the rest", `{"volumes":[],"user":"7:7","stopSignal":"SIGINT","workingDir":"/","command":["x"],"health":{"command":["ok"],"timeout":3}}`, file, nil,
			whole(map[string]string{"VOLUME": "nothing", "USER": "7:7", "STOPSIGNAL": "SIGINT", "WORKDIR": "/", "CMD": `["x"]`, "HEALTHCHECK": `--timeout=3s CMD ["ok"]`})},
		{"an image alone", `{"user":"7:7"}`, nil, made, []instruction{
			{Instruction: "EXPOSE", Value: "80/tcp", From: "the image in dist"},
			{Instruction: "STOPSIGNAL", Value: "SIGINT", From: "the image in dist"},
			{Instruction: "WORKDIR", Value: "/home", From: "the image in dist"},
			{Instruction: "LABEL maintainer", Value: "us", From: "the image in dist"},
			{Instruction: "LABEL " + release.OCIPrefix + "vendor", Value: "us", From: "the image in dist"},
			{Instruction: "LABEL traefik.enable", Value: "true", From: "the image in dist"},
		}},
		{"ports of the file and of its base", `{}`, &containerfile.FileConfig{File: "Dockerfile", Config: v1.Config{ExposedPorts: setOf([]string{"8000/tcp"})}, Lines: map[string]int{"EXPOSE": 2}},
			&v1.Config{ExposedPorts: setOf([]string{"8000/tcp", "80/tcp"}), Volumes: setOf([]string{"/data"})}, []instruction{
				{Instruction: "EXPOSE", Value: "8000/tcp", From: "Dockerfile:2"},
				{Instruction: "EXPOSE", Value: "80/tcp", From: "the base, as in dist"},
				{Instruction: "VOLUME", Value: "/data", From: "the base, as in dist"},
			}},
		{"a file and its base", `{"user":"7:7"}`, &containerfile.FileConfig{File: "x/Containerfile", Config: v1.Config{WorkingDir: "/srv"}, Lines: map[string]int{"WORKDIR": 3}}, made, []instruction{
			{Instruction: "WORKDIR", Value: "/srv", From: "x/Containerfile:3"},
			{Instruction: "EXPOSE", Value: "80/tcp", From: "the base, as in dist"},
			{Instruction: "STOPSIGNAL", Value: "SIGINT", From: "the base, as in dist"},
		}},
	} {
		spec := &catalog.Spec{Content: &catalog.ContainerfileImage{}, App: "one", Component: "web", Variant: "default", Version: "1.0", PackageVersion: 1, Annotations: about}
		if err := json.Unmarshal([]byte(test.definition), &spec.Config); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, upstreamInstructions(spec, test.file, test.made, false)); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
	spec := &catalog.Spec{Content: &catalog.ContainerfileImage{}}
	if diff := cmp.Diff([]instruction{{Instruction: "USER", Value: "1", From: "the image in dist, perhaps older"}}, upstreamInstructions(spec, nil, &v1.Config{User: "1"}, true)); diff != "" {
		t.Errorf("a key that could not be compared:\n%s", diff)
	}
}

func setOf(names []string) map[string]struct{} {
	set := map[string]struct{}{}
	for _, name := range names {
		set[name] = struct{}{}
	}
	return set
}
