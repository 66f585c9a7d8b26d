package nix

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	drvA  = "/nix/store/0bhdm5a25js8m7sg1gbfm013w1bg9sr7-lib-1.0.drv"
	drvB  = "/nix/store/7l94pz61blx3xi2q3crx6a8ip4365h0q-app-2.0.drv"
	pathA = "/nix/store/zbgns2pdc91mwad5ih78q1ipl7jsbs6h-big-1.0"
)

// The messages of Nix 2.3 to 2.34 and Lix before they begin.
func TestMissingIsParsedForEveryNix(t *testing.T) {
	for _, test := range []struct {
		lines        []string
		build, fetch []string
		download     int64
	}{
		{[]string{"these 2 derivations will be built:", "  " + drvA, "  " + drvB}, []string{drvA, drvB}, nil, 0},
		{[]string{"this derivation will be built:", "  " + drvA}, []string{drvA}, nil, 0},
		{[]string{"these derivations will be built:", "  " + drvA}, []string{drvA}, nil, 0},
		{[]string{"this path will be fetched (2.93 MiB download, 2.93 MiB unpacked):", "  " + pathA}, nil, []string{pathA}, 3072327},
		{[]string{"these 41 paths will be fetched (178.1 KiB download, 128.4 MiB unpacked):", "  " + pathA}, nil, []string{pathA}, 182374},
		{[]string{"these paths will be fetched (0.00 MiB download, 1.2 GiB unpacked):", "  " + pathA}, nil, []string{pathA}, 0},
		{[]string{"this derivation will be built:", "  " + drvA, "", "these 2 paths will be fetched (1.5 GiB download, 3.0 GiB unpacked):", "  " + pathA},
			[]string{drvA}, []string{pathA}, 1610612736},
		{[]string{"don't know how to build these paths:", "  " + pathA}, nil, nil, 0},
	} {
		for _, format := range []string{"%s", "@nix {\"action\":\"msg\",\"level\":3,\"msg\":%q}"} {
			var got *Missing
			w := &watcher{nix: &Nix{}, missing: &missingReader{}, on: func(event LogEvent) {
				if event.Kind == LogMissing {
					got = event.Missing
				}
			}}
			var log strings.Builder
			for _, line := range append(test.lines, "building '"+drvA+"'...") {
				fmt.Fprintf(&log, format+"\n", line)
			}
			w.begin()
			w.watch(strings.NewReader(log.String()), w.event)
			if got == nil {
				got = &Missing{}
			}
			if !slices.Equal(got.Build, test.build) || !slices.Equal(got.Fetch, test.fetch) || got.Download != test.download {
				t.Errorf("%q: %+v", log.String(), got)
			}
		}
	}
}

// The captures come from real runs.
func TestMissingIsReportedOnceBeforeTheFirstBuild(t *testing.T) {
	for capture, want := range map[string]string{
		"log-2.8-build.txt":    "build [lib-1.0 app-2.0], fetch []",
		"log-2.8-download.txt": "build [], fetch [" + pathA + "]",
	} {
		log, err := os.Open(filepath.Join("testdata", capture))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		var got []string
		started := false
		w := &watcher{nix: &Nix{LogDir: t.TempDir()}, missing: &missingReader{}, failures: map[string]*BuildFailure{}, on: func(event LogEvent) {
			started = started || event.Kind == LogBuildStarted
			if event.Kind == LogMissing {
				var names []string
				for _, drv := range event.Missing.Build {
					names = append(names, DrvName(drv))
				}
				got = append(got, fmt.Sprintf("build %v, fetch %v", names, event.Missing.Fetch))
				if started {
					t.Errorf("%s: told after a build began", capture)
				}
			}
		}}
		w.begin()
		w.watch(log, w.event)
		w.end()
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, expected %q", capture, got, want)
		}
	}
}

func TestWarningsOfOneKindAreShownOnce(t *testing.T) {
	var got []string
	n := &Nix{Warn: func(warning string) { got = append(got, warning) }}
	n.warnings("warning: not writing modified lock file of flake 'git+file:///x':\n" +
		"warning: unable to download 'https://cache.example/0bhdm5a25js8m7sg1gbfm013w1bg9sr7.narinfo': Couldn't resolve host name (6); retrying in 313 ms\n" +
		"warning: unable to download 'https://cache.example/7l94pz61blx3xi2q3crx6a8ip4365h0q.narinfo': Couldn't resolve host name (6); retrying in 571 ms\n" +
		"\x1b[35;1mwarning:\x1b[0m error: unable to download 'https://cache.example/7l94pz61blx3xi2q3crx6a8ip4365h0q.narinfo': Couldn't resolve host name (6)\n" +
		"trace: hello\nevaluation warning: 'x' is old\ntrace: evaluation warning: 'y' is old\n" +
		"warning: ignoring the client-specified setting 'system', because it is a restricted setting and you are not a trusted user\n" +
		"warning: ignoring the client-specified setting 'builders', because it is a restricted setting and you are not a trusted user\n")
	for range 3 {
		n.warn("ignoring substitute for '" + pathA + "' from 'file:///cache', as it's not signed by any of the keys in 'trusted-public-keys'")
		n.warn("ignoring substitute for '" + strings.TrimSuffix(drvA, ".drv") + "' from 'file:///cache', as it's not signed by any of the keys in 'trusted-public-keys'")
	}
	want := []string{
		"unable to download 'https://cache.example/0bhdm5a25js8m7sg1gbfm013w1bg9sr7.narinfo': Couldn't resolve host name (6)",
		"'x' is old", "'y' is old",
		"ignoring the client-specified setting 'builders', because it is a restricted setting and you are not a trusted user",
		"ignoring substitute for '" + pathA + "' from 'file:///cache', as it's not signed by any of the keys in 'trusted-public-keys'",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nexpected\n%q", got, want)
	}
}

// A machine of another system, or one with a feature such as kvm.
func TestOtherSystemsNeedABuilder(t *testing.T) {
	const drv = "'/nix/store/k9fgs1x71kaxfyynkb3i2i8h2qr7qybp-stage.drv'"
	for text, want := range map[string]string{
		"a 'aarch64-linux' with features {} is required to build " + drv + ", but I am a 'x86_64-linux' with features {big-parallel}":                                                        `it must be built on aarch64-linux, but this machine is x86_64-linux: add a builder with --builders, or set crossFrom = "x86_64-linux"`,
		"Cannot build " + drv + ".\nReason: platform mismatch\nRequired system: 'aarch64-linux'\nCurrent system: 'x86_64-linux'":                                                             `it must be built on aarch64-linux, but this machine is x86_64-linux: add a builder`,
		"Cannot build " + drv + ".\nReason: required system or feature not available\nRequired system: 'riscv64-linux' with features {}\nCurrent system: 'x86_64-linux' with features {kvm}": `it must be built on riscv64-linux, but this machine is`,
		"a 'x86_64-linux' with features {kvm} is required to build " + drv + ", but I am a 'x86_64-linux' with features {}":                                                                  "a 'x86_64-linux' with features {kvm} is required to build " + drv + ", but I am a 'x86_64-linux' with features {}: add a machine with these features",
		"Cannot build " + drv + ".\nReason: missing system features\nRequired system: 'x86_64-linux'\nRequired features: {kvm}\nCurrent system: 'x86_64-linux'":                              "Required features: {kvm}",
		"Cannot build " + drv + ".\nReason: builder failed with exit code 1.":                                                                                                                "",
	} {
		event, _ := message(LogError, text)
		got, ok := (&remoteBuilds{}).otherSystem("", text)
		if ok != (want != "") || !strings.Contains(got, want) || event.Drv == "" || event.Kind != LogBuildFailed {
			t.Errorf("%q: %q, %v, %+v", text, got, ok, event)
		}
	}
}
