package nix

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestBuilderListsAreReadAsNixDoes(t *testing.T) {
	machines := filepath.Join(t.TempDir(), "machines")
	nested := machines + ".nested"
	for file, text := range map[string]string{machines: "# ours\nssh://nix@arm aarch64-linux # the fast one\n\nssh://riscv riscv64-linux\n", nested: "ssh://a\n@" + machines} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const program = "?remote-program=nix-daemon%20--keep-going"
	for value, want := range map[string][]remoteBuilder{
		"":               nil,
		"@/nowhere":      nil,
		"@" + nested:     nil,
		"ssh://nix@arm":  {{address: "ssh://nix@arm", store: "ssh-ng://nix@arm" + program, systems: []string{"x86_64-linux"}}},
		"nix@arm":        {{address: "nix@arm", store: "ssh-ng://nix@arm" + program, systems: []string{"x86_64-linux"}}},
		"ssh-ng://arm -": {{address: "ssh-ng://arm", store: "ssh-ng://arm" + program, systems: []string{"x86_64-linux"}}},
		"ssh://arm aarch64-linux,armv7l-linux /root/key 4 2 kvm,big-parallel - c3NoLWVk": {{address: "ssh://arm",
			store:   "ssh-ng://arm?base64-ssh-public-host-key=c3NoLWVk&remote-program=nix-daemon%20--keep-going%20--max-jobs%204&ssh-key=%2Froot%2Fkey",
			systems: []string{"aarch64-linux", "armv7l-linux"}, features: []string{"kvm", "big-parallel"}}},
		"ssh://arm aarch64-linux - - - kvm kvm":       {{address: "ssh://arm", store: "ssh-ng://arm" + program, systems: []string{"aarch64-linux"}, features: []string{"kvm"}, onlyForItsFeatures: true}},
		"ssh://arm aarch64-linux - many":              {{address: "ssh://arm", systems: []string{"aarch64-linux"}}},
		"ssh://arm?remote-program=other x":            {{address: "ssh://arm?remote-program=other", systems: []string{"x"}}},
		"/nix/other x":                                {{address: "/nix/other", systems: []string{"x"}}},
		"daemon x ; ssh://%zz y; https://cache.org z": {{address: "daemon", store: "ssh-ng://daemon" + program, systems: []string{"x"}}, {address: "ssh://%zz", systems: []string{"y"}}, {address: "https://cache.org", systems: []string{"z"}}},
		"@" + machines: {
			{address: "ssh://nix@arm", store: "ssh-ng://nix@arm" + program, systems: []string{"aarch64-linux"}},
			{address: "ssh://riscv", store: "ssh-ng://riscv" + program, systems: []string{"riscv64-linux"}}},
	} {
		got := parseBuilders(map[string]string{"builders": value, "system": "x86_64-linux", "timeout": "0"})
		equal := func(a, b remoteBuilder) bool {
			return a.address == b.address && a.store == b.store && a.onlyForItsFeatures == b.onlyForItsFeatures && slices.Equal(a.systems, b.systems) && slices.Equal(a.features, b.features)
		}
		if !slices.EqualFunc(got, want, equal) {
			t.Errorf("%q:\n%+v, want\n%+v", value, got, want)
		}
	}
}

// A builder gets this machine's limits, which Nix does not send.
func TestBuildersGetTheLimitsOfTime(t *testing.T) {
	got := parseBuilders(map[string]string{"builders": "ssh://arm", "max-silent-time": "600", "timeout": "3600"})
	if want := "ssh-ng://arm?remote-program=nix-daemon%20--keep-going%20--max-silent-time%20600%20--timeout%203600"; len(got) != 1 || got[0].store != want {
		t.Errorf("%+v, want %s", got, want)
	}
}

// Outputs are built in the store of a builder only if no other machine can build what is missing
// for them.
func TestOnlySoleBuildersBuildInTheirStores(t *testing.T) {
	graph := Graph{
		"arm":     {System: "aarch64-linux"},
		"mixed":   {System: "aarch64-linux", Inputs: []string{"here"}},
		"fetched": {System: "aarch64-linux", Inputs: []string{"download"}},
		"kvm":     {System: "aarch64-linux", Features: []string{"kvm"}},
		"two":     {System: "riscv64-linux"},
		"none":    {System: "s390x-linux"},
		"here":    {System: "x86_64-linux"}, "download": {System: builtin},
	}
	list := &builderList{here: []string{"x86_64-linux"}, builders: parseBuilders(map[string]string{
		"builders": "ssh://arm aarch64-linux; ssh://one riscv64-linux; ssh://two riscv64-linux; ssh://here x86_64-linux"})}
	for drv, want := range map[string]string{"arm": "ssh://arm", "fetched": "ssh://arm", "mixed": "", "kvm": "", "two": "", "none": "", "here": "", "download": "", "built": ""} {
		got := ""
		for builder, outputs := range list.divide([]Output{{Drv: drv}}, graph) {
			if builder != nil && len(outputs) == 1 {
				got = builder.address
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", drv, got, want)
		}
	}
}

func TestRequiredFeaturesAreReadFromBothForms(t *testing.T) {
	for _, env := range []map[string]string{
		{"requiredSystemFeatures": "kvm big-parallel"},
		{"__json": `{"requiredSystemFeatures":["kvm","big-parallel"]}`},
	} {
		if got := requiredFeatures(env); !slices.Equal(got, []string{"kvm", "big-parallel"}) {
			t.Errorf("%v: %q", env, got)
		}
	}
}
