package kit

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/sign"
)

var (
	one    = Places{Registries: []string{"registry.example/lasuite"}}
	copied = Places{
		Registries: []string{"docker.io/lasuite/"},
		Copies:     []sign.Copy{{Of: "docker.io/lasuite", In: "mirror.example:5000"}, {Of: "staging.example/a", In: "test.example/b/"}},
	}
	images = map[string]catalog.App{
		"docs": {Name: "docs", Version: "5.4.1", Variants: []string{"default"}, Components: map[string]catalog.Component{"backend": {}, "frontend": {}}},
	}
)

// keys is a configuration that accepts the public keys in some files.
func keys(t *testing.T, format sign.Format, public ...sign.PublicKey) sign.Config {
	t.Helper()
	for i, key := range public {
		public[i].File = filepath.Join("testdata", key.File)
	}
	return sign.Config{Format: format, PublicKeys: public}
}

func workflow(format sign.Format) sign.Config {
	return sign.Config{Format: format, Keyless: &sign.Keyless{Identity: sign.Identity{
		Issuer: "https://token.actions.githubusercontent.com", Subject: `https://github\.com/coop/catalogue/.*`,
	}}}
}

func ownInstance(format sign.Format) sign.Config {
	config := workflow(format)
	config.Keyless.Fulcio, config.Keyless.Timestamp = "https://fulcio.example", "https://timestamp.example"
	config.Keyless.TrustedRoot = filepath.Join("testdata", "trusted_root.json")
	return config
}

// A trusted root that is none, or not there, is an error that names it.
func TestTrustedRootThatIsNone(t *testing.T) {
	config := ownInstance("")
	for name, want := range map[string]string{"one.pub": "testdata/one.pub: not a trusted_root.json", "absent": "testdata/absent: no such file"} {
		config.Keyless.TrustedRoot = filepath.Join("testdata", name)
		if _, err := CosignPolicy(one, config, Kyverno); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The files that are written, byte for byte, and the same a second time.
func TestRendered(t *testing.T) {
	later := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, render := range map[string]func() ([]File, error){
		"renovate": func() ([]File, error) { return Renovate(one) },
		"flux": func() ([]File, error) {
			return Flux("registry.example/lasuite", images, catalog.IDs(images))
		},
		"flux-loopback": func() ([]File, error) { return Flux("[::1]:5000", images, catalog.IDs(images)[:1]) },
		"cosign-key": func() ([]File, error) {
			return CosignPolicy(one, keys(t, sign.Classic, sign.PublicKey{File: "one.pub"}), Kyverno, PolicyController)
		},
		"cosign-key-bundle": func() ([]File, error) {
			return CosignPolicy(one, keys(t, sign.Bundle, sign.PublicKey{File: "one.pub"}), Kyverno)
		},
		"cosign-keys": func() ([]File, error) {
			return CosignPolicy(copied, keys(t, sign.Classic, sign.PublicKey{File: "one.pub", Until: later}, sign.PublicKey{File: "other.pub"}), Kyverno, PolicyController)
		},
		"cosign-identity":     func() ([]File, error) { return CosignPolicy(one, workflow(""), Kyverno, PolicyController) },
		"cosign-own-instance": func() ([]File, error) { return CosignPolicy(one, ownInstance(""), Kyverno, PolicyController) },
		"policy-key": func() ([]File, error) {
			return ContainersPolicy(one, nil, keys(t, sign.Classic, sign.PublicKey{File: "one.pub"}))
		},
		"policy-copies": func() ([]File, error) {
			return ContainersPolicy(copied, []string{"docs-default", "docs-backend-default"}, keys(t, sign.Classic, sign.PublicKey{File: "one.pub", Until: later}, sign.PublicKey{File: "other.pub"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := render()
			if err != nil {
				t.Fatal(err)
			}
			again, err := render()
			if diff := cmp.Diff(files, again); err != nil || diff != "" {
				t.Errorf("other bytes the second time: %v\n%s", err, diff)
			}
			golden(t, name+".yaml", Stream(files))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(got))
	for documents := 0; ; documents++ {
		var document map[string]any
		if err := decoder.Decode(&document); err != nil {
			if documents == 0 || err.Error() != "EOF" {
				t.Errorf("no YAML stream: %v", err)
			}
			return
		}
	}
}

// What a tool cannot verify is an error that says what to set.
func TestUnreadable(t *testing.T) {
	key := func(format sign.Format) sign.Config { return keys(t, format, sign.PublicKey{File: "one.pub"}) }
	for name, test := range map[string]struct {
		config           sign.Config
		cosign, policies string // what the error says; "" for none
	}{
		"a key, bundle":            {key(sign.Bundle), "yours is bundle; set sign: {format: classic}", "yours is bundle; set sign: {format: classic}"},
		"a key, the default":       {key(""), "yours is bundle; set sign: {format: classic}", "yours is bundle; set sign: {format: classic}"},
		"a key, classic":           {key(sign.Classic), "", ""},
		"an identity":              {workflow(""), "", "containers/image accepts an identity only by an e-mail address"},
		"an identity, bundle":      {workflow(sign.Bundle), "", "libre does not make; sign with a key"},
		"an identity, classic":     {workflow(sign.Classic), "yours is classic; set sign: {format: bundle}", "sign with a key: libre keygen"},
		"an own Sigstore instance": {ownInstance(""), "", "sign with a key"},
		"the same, classic":        {ownInstance(sign.Classic), "yours is classic; set sign: {format: bundle}", "sign with a key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := CosignPolicy(one, test.config, Kyverno, PolicyController)
			says(t, err, test.cosign)
			_, err = ContainersPolicy(one, nil, test.config)
			says(t, err, test.policies)
		})
	}
}

func says(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want == "":
	case err == nil || want == "":
		t.Errorf("the error is %v, want %q", err, want)
	case !strings.Contains(err.Error(), want) || fault.Fix(err) == "":
		t.Errorf("%v, want %q", err, want)
	}
}

// Keys that ended are in no policy, and one must be left.
func TestEndedKeys(t *testing.T) {
	ended := sign.PublicKey{File: "other.pub", Until: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	files, err := CosignPolicy(one, keys(t, sign.Classic, ended, sign.PublicKey{File: "one.pub"}), Kyverno, PolicyController)
	if err != nil || bytes.Count(Stream(files), []byte("BEGIN PUBLIC KEY")) != 2 || !bytes.Contains(Stream(files), []byte("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ+4GiRfN6QZc5xwPQqBIwW3mzoLh")) {
		t.Errorf("%v\n%s", err, Stream(files))
	}
	if _, err := CosignPolicy(one, keys(t, sign.Classic, ended), Kyverno); err == nil || !strings.Contains(err.Error(), "testdata/other.pub was accepted until 2019-12-31") {
		t.Error(err)
	}
}

// Flux selects the newest release of an app: it filters tags by a regular expression, and
// orders what it extracts as semantic versions.
func TestFluxSelectsTheNewestTag(t *testing.T) {
	others := []string{"latest", "5.4", "5", "sha256-0f.sig", "5.4.1", "v", "5.4.1-0", "5.4.1-rc1-9", "99.0.0-beta.1-1", "99.1.2-ce-3-1x"}
	for version, test := range map[string]struct {
		rising []string
	}{
		"5.4.1":      {[]string{"1.2.3-4", "1.2.3-5", "1.2.3-10", "1.2.4-1", "1.10.0-1", "5.4.1-2"}},
		"28.0.4.1":   {[]string{"28.0.4.1-2", "28.0.4.1-10", "28.0.4.2-1", "28.0.10.0-1", "29.0.0.0-1"}},
		"2025.1":     {[]string{"2025.1-3", "2025.01-4", "2025.2-1", "2025.10-1", "2026.0-1"}},
		"17":         {[]string{"9-3", "17-1", "17-2", "18-1"}},
		"v1.2.3":     {[]string{"v1.2.3-4", "v1.2.4-1"}},
		"1.2.3-ce":   {[]string{"1.2.3-ce-4", "1.2.3-ce-10", "1.2.4-ce-1"}},
		"2024-01-15": {[]string{"2023-12-31-7", "2024-01-15-1", "2024-01-15-2", "2024-02-01-1", "2024-10-01-1"}},
		"1.2.3-r9":   {[]string{"1.2.3-r9-1", "1.2.3-r9-2", "1.2.3-r10-1", "1.3.0-r1-1"}},
		"1.2.3.4.5":  {[]string{"1.2.3.4.5-1", "1.2.3.4.6-1", "1.2.3.10.0-1"}},
	} {
		filter, err := fluxTags(version)
		if err != nil {
			t.Errorf("%s: %v", version, err)
			continue
		}
		pattern := regexp.MustCompile(filter.Pattern)
		extract := func(tag string) *semver.Version {
			found := pattern.FindStringSubmatchIndex(tag)
			if found == nil {
				return nil
			}
			text := string(pattern.ExpandString(nil, filter.Extract, tag, found))
			v, err := semver.StrictNewVersion(text)
			if err != nil {
				t.Errorf("%s: %s gives %q: %v", version, tag, text, err)
			}
			return v
		}
		every, err := semver.NewConstraint(fluxEvery)
		if err != nil {
			t.Fatal(err)
		}
		for i, tag := range test.rising {
			v := extract(tag)
			if v == nil || !every.Check(v) {
				t.Errorf("%s: %s is not selected: %v", version, tag, v)
			} else if i > 0 && !v.GreaterThan(extract(test.rising[i-1])) {
				t.Errorf("%s: %s is not above %s", version, tag, test.rising[i-1])
			}
		}
		for _, tag := range others {
			if v := extract(tag); v != nil {
				t.Errorf("%s: %s is taken for %s", version, tag, v)
			}
		}
	}
	for version, want := range map[string]string{
		"2.0-rc1": "is a prerelease", "3.0.0.beta2": "is a prerelease", "1.0.0-alpha.1": "is a prerelease",
		"RELEASE.2025-01-15": "does not begin with a number", "main": "does not begin", "": "does not begin",
	} {
		app := map[string]catalog.App{"x": {Name: "x", Version: version, Variants: []string{"default", "debug"}, Components: map[string]catalog.Component{"a": {}, "b": {}}}}
		_, err := Flux("registry.example", app, catalog.IDs(app))
		says(t, err, want)
		if err != nil && strings.Count(err.Error(), want) != 1 {
			t.Errorf("said more than once: %v", err)
		}
	}
}

// Renovate compiles its expressions with RE2, as Go does.
func TestRenovateExpressionsAreRE2(t *testing.T) {
	for _, expression := range []string{strings.Trim(renovateTag, "/"), strings.TrimPrefix(renovateRepackVersioning, "regex:")} {
		if _, err := regexp.Compile(expression); err != nil {
			t.Error(err)
		}
	}
}
