package containerfile

import (
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

func TestPins(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	target, base := "web", "python:3.13"
	for _, test := range []struct {
		name, file string
		image      catalog.ContainerfileImage
		want       []string
		err        string
	}{
		{name: "all that is used, once", file: "FROM alpine AS other\nFROM node:24 AS assets\nFROM python:3.13 AS web\nCOPY --from=assets / /\nCOPY --from=nginx / /\nRUN --mount=from=node:24 true\n",
			want: []string{"node:24", "python:3.13", "nginx"}},
		{name: "arguments", file: "ARG BASE\nFROM $BASE AS web\n", image: catalog.ContainerfileImage{Args: map[string]*string{"BASE": &base, "API": nil}}, want: []string{base}},
		{name: "a digest in the name", file: "FROM python:3.13@" + digest + " AS web\n"},
		{name: "a pin", file: "FROM python:3.13 AS web\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{base: {Digest: digest}}}},
		{name: "a pin under its long name", file: "FROM python:3.13 AS web\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"docker.io/library/python:3.13": {Digest: digest}}}},
		{name: "another tag's pin", file: "FROM python:3.13 AS web\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"python:3.14": {Digest: digest}}}},
		{name: "another tag's pin, which something else in the file has", file: "FROM python:3.14 AS other\nFROM python:3.13 AS web\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"python:3.14": {Digest: digest}}}, want: []string{base}},
		{name: "a pin of any tag", file: "FROM python:3.13 AS web\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"docker.io/python": {Digest: digest}}}},
		{name: "a tag that moved", file: "FROM python:3.13 AS web\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"python:3.12": {Digest: digest}}}},
		{name: "a tag of the catalogue's that moved", file: "FROM node AS x\nFROM python:3.13 AS web\nCOPY --from=x / /\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"library/python:3.12": {Image: &catalog.Spec{Content: &catalog.NixImage{}}}}}, want: []string{"node"}},
		{name: "an image of the catalogue", file: "FROM tool AS web\n", image: catalog.ContainerfileImage{Bases: map[string]catalog.Base{"tool": {Image: &catalog.Spec{Content: &catalog.NixImage{}}}}}},
		{name: "a named context", file: "FROM scratch AS web\nCOPY --from=logos / /\n", image: catalog.ContainerfileImage{Contexts: map[string]string{"logos": "/logos"}}},
		{name: "two platforms", file: "FROM --platform=linux/amd64 node AS a\nFROM --platform=linux/arm64 node AS b\nFROM scratch AS web\nCOPY --from=a / /\nCOPY --from=b / /\n", want: []string{"node"}},
		{name: "no value", file: "ARG BASE\nFROM $BASE AS web\n", image: catalog.ContainerfileImage{Args: map[string]*string{"BASE": nil}}, err: "Dockerfile:2: FROM $BASE: argument BASE has no value"},
		{name: "no name", file: "FROM Python AS web\n", err: "Dockerfile:1: image name"},
		{name: "no file", image: catalog.ContainerfileImage{File: "Containerfile"}, err: "Containerfile: no such file in the source"},
	} {
		t.Run(test.name, func(t *testing.T) {
			image := test.image
			image.Target, image.Context = &target, "."
			if image.File == "" {
				image.File = "Dockerfile"
			}
			spec := catalog.Spec{System: "x86_64-linux", Content: &image}
			pins, err := ReadPins(&spec, write(t, map[string]string{"Dockerfile": test.file}))
			var got []string
			for _, b := range pins.Unpinned {
				got = append(got, b.Name)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
			if text := errorText(err); text != test.err && (test.err == "" || !strings.HasPrefix(text, test.err)) {
				t.Errorf("error %q, want %q", text, test.err)
			}
		})
	}
}
