package containerfile

import (
	"fmt"
	"testing"
)

func TestKeys(t *testing.T) {
	const digest = "@sha256:" + hex
	all := map[string]bool{}
	for _, key := range []string{"node", "node:24", "docker.io/library/node:24-alpine", "example/base:1", "example/base:1" + digest,
		"example/base" + digest, "registry.example/team/app:2", "localhost:5000/x", "Toolbox", "tool:latest"} {
		all[key] = true
	}
	for image, want := range map[string]string{
		"node":                                  "node",
		"node:26":                               "node",
		"docker.io/library/node:26":             "node",
		"index.docker.io/library/node" + digest: "node",
		"library/node:24":                       "node:24",
		"docker.io/node:24" + digest:            "node:24",
		"node:24-alpine":                        "docker.io/library/node:24-alpine",
		"docker.io/example/base:1":              "example/base:1",
		"example/base:1" + digest:               "example/base:1" + digest,
		"example/base:1@sha256:f" + hex[1:]:     "example/base:1",
		"example/base:2" + digest:               "example/base" + digest,
		"example/base" + digest:                 "example/base" + digest,
		"example/base:2":                        "",
		"example/base":                          "",
		"ghcr.io/example/base:1":                "",
		"REGISTRY.example/team/app:2":           "registry.example/team/app:2",
		"registry.example:443/team/app:2":       "",
		"registry.example/TEAM/app:2":           "",
		"localhost:5000/x:3":                    "localhost:5000/x",
		"localhost/x:3":                         "",
		"Toolbox":                               "Toolbox",
		"toolbox":                               "",
		"tool":                                  "tool:latest",
		"tool" + digest:                         "",
		"other/node:24":                         "",
	} {
		if got, _ := keyOf(all, image); got != want {
			t.Errorf("%s: the key %q, want %q", image, got, want)
		}
	}
	same := map[string]bool{}
	for _, key := range []string{"node", "library/node", "docker.io/library/node:24", "node:24", "Example.org/x:1", "example.org/x:1", "tool:latest", "tool", "Bad", "bad"} {
		same[key] = true
	}
	want := "[[Example.org/x:1 example.org/x:1] [library/node node] [docker.io/library/node:24 node:24]]"
	if got := fmt.Sprint(sameKeys(same)); got != want {
		t.Errorf("keys that mean the same: %s, want %s", got, want)
	}
	for image, want := range map[string]string{
		"python":                      "docker.io/library/python:latest",
		"index.docker.io/library/x:1": "docker.io/library/x:1",
		"grist/base:1" + digest:       "docker.io/grist/base:1",
		"ghcr.io/x/y" + digest:        "ghcr.io/x/y",
		"LOCALHOST:5000/x":            "localhost:5000/x:latest",
		"Toolbox":                     "Toolbox",
	} {
		if got := Normal(image); got != want {
			t.Errorf("%s in full is %s, want %s", image, got, want)
		}
	}
	for _, test := range [][3]string{
		{"node:24", "docker.io/library/node:26-alpine", "node:26-alpine"},
		{"localhost:5000/base:1", "localhost:5000/base:2@sha256:" + hex, "localhost:5000/base:2"},
		{"docker.io/library/node:24" + digest, "node", "docker.io/library/node:latest"},
		{"node:24", "node@sha256:" + hex, ""},
		{"Toolbox", "toolbox:2", ""},
	} {
		if got := MovedKey(test[0], test[1]); got != test[2] {
			t.Errorf("%s, moved to %s: %q, want %q", test[0], test[1], got, test[2])
		}
	}
}
