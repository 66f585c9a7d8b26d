package containerfile

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

func TestDefects(t *testing.T) {
	digest, value, target, web := "sha256:"+strings.Repeat("a", 64), "1", "web", "web"
	const file = "ARG BASE=python:3.13\nFROM node:24 AS assets\nFROM $BASE AS web\nARG MODE\nCOPY --from=assets / /\nCOPY --from=logos / /\nRUN --mount=from=nginx:1 true\nFROM alpine:3 AS other\n"
	pin := map[string]catalog.Base{"node:24": {Digest: digest}, "docker.io/library/python:3.13": {Digest: digest}, "nginx:1": {Digest: digest}, "alpine:3": {Digest: digest}}
	for _, test := range []struct {
		name  string
		file  string
		image catalog.ContainerfileImage
		want  []string // the beginning of each
		fatal int
	}{
		{name: "all is there", file: file, image: catalog.ContainerfileImage{Target: &target, Bases: pin, Contexts: map[string]string{"logos": "/x"},
			Args: map[string]*string{"MODE": &value, "TARGETARCH": &value, "https_proxy": &value, "BUILDKIT_SYNTAX": &value}}},
		{name: "an unset argument", file: file, image: catalog.ContainerfileImage{Args: map[string]*string{"MODE": nil, "BASE": &value}},
			want: []string{"argument MODE is required: set components.web.args.MODE in apps/one/default.nix"}, fatal: 1},
		{name: "an unset argument of FROM", file: "ARG BASE\nFROM $BASE\n", image: catalog.ContainerfileImage{Args: map[string]*string{"BASE": nil}, Bases: pin},
			want: []string{"argument BASE is required: set"}, fatal: 1},
		{name: "no value for FROM", file: "ARG BASE\nFROM $BASE\n", want: []string{"Dockerfile:2: FROM $BASE: argument BASE has no value"}, fatal: 1},
		{name: "a target", file: file, image: catalog.ContainerfileImage{Target: &value}, want: []string{`Dockerfile: unknown target "1": the file has assets, web, other`}, fatal: 1},
		{name: "a target and an argument", file: file, image: catalog.ContainerfileImage{Target: &value, Args: map[string]*string{"MOED": &value}},
			want: []string{`Dockerfile: unknown target "1"`, "Dockerfile: unknown argument MOED, the file has BASE, MODE: remove it from components.web.args"}, fatal: 1},
		{name: "a file", image: catalog.ContainerfileImage{File: "docker/Dockerfile"}, want: []string{"docker/Dockerfile: no such file in the source"}, fatal: 1},
		{name: "a context", file: file, image: catalog.ContainerfileImage{Context: "sub"}, want: []string{"build context sub: no such folder in the source"}, fatal: 1},
		{name: "a file that is none", file: "FRM x\n", want: []string{"Dockerfile:1: unknown instruction: FRM"}, fatal: 1},
		{name: "arguments", file: file, image: catalog.ContainerfileImage{Args: map[string]*string{"mode": &value, "A-B": &value}},
			want: []string{`build argument "A-B": expected a name of`, "Dockerfile: unknown argument A-B", "Dockerfile: unknown argument mode"}, fatal: 1},
		{name: "no arguments at all", file: "FROM scratch\n", image: catalog.ContainerfileImage{Args: map[string]*string{"X": &value}}, want: []string{"Dockerfile: unknown argument X, the file has none"}},
		{name: "bases", file: file, image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"node:25": {Digest: digest}, "assets": {Digest: digest}, "web": {Image: &catalog.Spec{Content: &catalog.NixImage{}}}}},
			want: []string{"Dockerfile: unknown image assets, the file has node:24, python:3.13, logos, nginx:1, alpine:3: remove it from components.web.bases", "Dockerfile: unknown image node:25", "Dockerfile: unknown image web"}},
		{name: "keys that mean the same", file: file, image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"node:24": {Digest: digest}, "library/node:24": {Digest: digest}, "alpine:3": {Digest: digest}, "docker.io/alpine:3": {Image: &catalog.Spec{Content: &catalog.NixImage{}}}, "nginx:1": {Digest: digest}, "nginx": {Digest: digest}}},
			want: []string{`components.web.bases has "alpine:3" and "docker.io/alpine:3", which name the same image: remove one`, `components.web.bases has "library/node:24" and "node:24", which`}, fatal: 2},
		{name: "a key of any tag", file: file, image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"node": {Digest: digest}, "library/python": {Image: &catalog.Spec{Content: &catalog.NixImage{}}}}}},
		{name: "keys of tags that moved", file: file, image: catalog.ContainerfileImage{Target: &web, Bases: map[string]catalog.Base{"node:22": {Digest: digest}, "docker.io/library/python:3.12": {Image: &catalog.Spec{App: "one", Component: "base", Variant: "default", Content: &catalog.NixImage{}}}, "nginx:1": {Digest: digest}}},
			want: []string{`Dockerfile:3: the base is python:3.13, but components.web.bases has one/base/default for docker.io/library/python:3.12: rename the key to docker.io/library/python:3.13, or`,
				`Dockerfile:2: the base is node:24, but components.web.bases has a digest for node:22: rename the key to node:24, with its digest`}, fatal: 1},
		{name: "a base by an argument, which variants may set to another", file: file, image: catalog.ContainerfileImage{Args: map[string]*string{"BASE": &target}, Bases: map[string]catalog.Base{"python:3.13": {Digest: digest}}}},
		{name: "bases by architecture", file: "ARG TARGETARCH\nFROM base-$TARGETARCH\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"base-amd64": {Digest: digest}, "base-arm64": {Digest: digest}}}},
		{name: "contexts", file: file, image: catalog.ContainerfileImage{Contexts: map[string]string{"logo": "/x"}}, want: []string{"Dockerfile: unknown image logo, the file has node:24"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			image := test.image
			if image.File == "" {
				image.File = "Dockerfile"
			}
			spec := catalog.Spec{App: "one", Component: "web", System: "x86_64-linux", Content: &image}
			defects := Defects(&spec, write(t, map[string]string{"Dockerfile": test.file}))
			fatal := 0
			for i, defect := range defects {
				if i < len(test.want) && !strings.HasPrefix(defect.Err.Error(), test.want[i]) {
					t.Errorf("%q\nwant %q", defect.Err, test.want[i])
				}
				if defect.Fatal {
					fatal++
				}
			}
			if len(defects) != len(test.want) || fatal != test.fatal {
				t.Errorf("%d defects, %d fatal, want %d and %d: %v", len(defects), fatal, len(test.want), test.fatal, defects)
			}
			if unknown := Defects(&spec, ""); len(unknown) > 0 && !strings.Contains(unknown[0].Err.Error(), "argument") && test.name != "keys that mean the same" {
				t.Errorf("without the source: %v", unknown)
			}
		})
	}
}
