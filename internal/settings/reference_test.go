package settings

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/sign"
)

// TestSettingsPageListsEveryKey compares docs/settings.md with the tables of keys.
func TestSettingsPageListsEveryKey(t *testing.T) {
	const page, begin, end = "../../docs/settings.md", "go test ./internal/settings -->\n", "<!-- end of keys -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	table, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s has no place for the keys", page)
	}
	want := "| key | variable | value | example |\n|---|---|---|---|\n" + rows()
	if table == want {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Fatalf("%s is stale: UPDATE_GOLDEN=1 go test ./internal/settings\n%s", page, want)
	}
	if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nested returns the keys of the mappings that are values, by their path.
func nested(s *Settings) map[string][]key {
	return map[string][]key{
		"build":                 s.Build.keys(""),
		"build.secrets":         {{name: "NAME", expected: "environment or file, and apps"}},
		"build.secrets.NAME":    secretKeys(&containerfile.Secret{}),
		"build.ssh":             {{name: "NAME", expected: "environment or file, and apps"}},
		"build.ssh.NAME":        secretKeys(&containerfile.Secret{}),
		"buildkit":              buildKitKeys(&s.Engine.BuildKit),
		"cache":                 s.Cache.keys(),
		"layers":                s.Layers.keys(),
		"licenses":              licenseKeys(&s.Licenses),
		"licenses.exceptions":   exceptionKeys(&license.Exception{}),
		"limits":                s.Limits.keys(),
		"run":                   s.Run.keys(),
		"run.needs":             s.Run.needKeys(map[string]*string{}),
		"sbom":                  s.SBOM.keys(),
		"scan":                  s.Scan.keys(""),
		"sign":                  s.Sign.keys(),
		"sign.copies":           copyKeys(&sign.Copy{}),
		"sign.publicKey":        publicKeyKeys(&sign.PublicKey{}),
		"sign.keyless":          keylessKeys(&sign.Keyless{}),
		"sign.keyless.identity": identityKeys(&sign.Keyless{}),
	}
}

// rows returns a line for each key, and below it the keys of the mapping that is its value.
func rows() string {
	s := &Settings{}
	below := nested(s)
	var all strings.Builder
	var add func(prefix string, keys []key)
	add = func(prefix string, keys []key) {
		for _, k := range keys {
			path := prefix + k.name
			fmt.Fprintf(&all, "| `%s` | %s | %s | %s |\n", path, code(k.variable), k.expected, code(k.example))
			separator := "."
			if strings.HasPrefix(k.expected, "a list") || strings.Contains(k.expected, "or a list") {
				separator = "[]."
			}
			add(path+separator, below[strings.ReplaceAll(path, "[]", "")])
		}
	}
	add("", s.keys(""))
	return all.String()
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
