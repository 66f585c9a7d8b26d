package nix

import (
	"encoding/json"
	"strings"
	"testing"
)

// A flake that does not use mkCatalogue may print anything. Paths outside the store, and
// invalid names of files and tags, are refused.
func TestWhatNoDefinitionEvaluatesToIsRefused(t *testing.T) {
	const out = "/nix/store/yc8a494kfv0ckgzhkfbvwilljcbvsca6-web"
	const good = `{"schema": 1, "apps": {"one": {"name": "one", "version": "1", "packageVersion": 1, "components": {"web": {}}, "variants": ["default"]}},
		"images": [{"kind": "containerfile", "app": "one", "component": "web", "variant": "default", "version": "1", "packageVersion": 1,
			"fetch": {"drv": "` + out + `.drv", "out": "` + out + `"}, "contexts": {"more": "` + out + `/sub"},
			"bases": {"base": {"image": {"kind": "nix", "app": "one", "component": "base", "variant": "default", "version": "1", "packageVersion": 1, "rootfs": {"out": "` + out + `-base"}}}}},
		{"kind": "containerfile", "app": "one", "component": "web", "variant": "debug", "version": "1", "packageVersion": 1, "tools": {"out": "` + out + `"}, "fetch": {"out": "` + out + `-debug"}}]}`
	check := func(text string) error {
		var r raw
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		return r.check()
	}
	if err := check(good); err != nil {
		t.Error(err)
	}
	for from, to := range map[string]string{
		`"one": {"name": "one"`:    `"../one": {"name": "../one"`,
		`{"name": "one"`:           `{"name": "two"`,
		`"version": "1"`:           `"version": "../../1"`,
		`"packageVersion": 1`:      `"packageVersion": -1`,
		`{"web": {}}`:              `{"a/b": {}}`,
		`["default"]`:              `["..", "default"]`,
		`"component": "web"`:       `"component": "../web"`,
		`"component": "base"`:      `"component": "--base"`,
		`"variant": "debug"`:       `"variant": "a b"`,
		out + `.drv"`:              `--option"`,
		out + `.drv",`:             out + `",`,
		out + `"}, "contexts"`:     `/root/.ssh"}, "contexts"`,
		out + `/sub"`:              `/root"`,
		out + `/sub`:               out + `/../../../root`,
		out + `-base`:              `/etc`,
		out + `-debug`:             `../../etc`,
		`"tools": {"out": "` + out: `"tools": {"out": "` + `/nix/store/../../etc`,
	} {
		err := check(strings.Replace(good, from, to, 1))
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "make the output libre") {
			t.Errorf("%s for %s: %v", to, from, err)
		}
	}
}
