package nix

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// Errors of this machine are not reported as errors of a definition, and say what to do. The
// texts come from Nix 2.8 to 2.34.
func TestFaultsOfThisMachineAreExplained(t *testing.T) {
	for _, test := range []struct{ message, fix string }{
		{"writing to file: No space left on device", "nix-collect-garbage"},
		{"committing transaction: database or disk is full (in '/nix/var/nix/db/db.sqlite')", "nix-collect-garbage"},
		{"creating directory '/nix/store/.links': Read-only file system", "mount it writable"},
		{"reading from file: Input/output error", "dmesg"},
		{"executing SQLite query: disk I/O error (in '/nix/var/nix/db/db.sqlite')", "dmesg"},
		{"cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused", "systemctl restart nix-daemon"},
		{"cannot connect to daemon at '/nix/var/nix/daemon-socket/socket': No such file or directory", "systemctl restart nix-daemon"},
		{"Nix daemon disconnected unexpectedly (maybe it crashed?)", "systemctl restart nix-daemon"},
		{"unexpected end-of-file", "systemctl restart nix-daemon"},
		{"unable to fork: Cannot allocate memory", "max-jobs = 1"},
		{"opening file '/x': Too many open files", "ulimit"},
		{"syntax error, unexpected end of file", ""},
		{"apps/one/default.nix:3:1: No space left on device", ""},
		{"attribute 'x' missing", ""},
	} {
		err := machineFault("building", test.message)
		if fix := fault.Fix(err); (test.fix == "") != (err == nil) || !strings.Contains(fix, test.fix) {
			t.Errorf("%s: %v", test.message, err)
		}
	}
}

// The last line of a builder's output does not say why the builder ended.
func TestEndOfABuilderIsExplained(t *testing.T) {
	const drv = "/nix/store/lilynzi10yvjyr7q0gbsp4v0n2dfpqz8-web.drv"
	for _, test := range []struct{ message, tail, want string }{
		{"builder for '" + drv + "' failed due to signal 9 (Killed)", "compiling", "the builder was killed"},
		{"Cannot build '" + drv + "'.\nReason: builder failed due to signal 9 (Killed).", "compiling", "the builder was killed"},
		{"builder for '" + drv + "' failed due to signal 11 (Segmentation fault)", "", "ended by signal 11"},
		{"building of '" + drv + "' timed out after 60 seconds of silence", "x", "timed out after 60 seconds of silence"},
		{"builder for '" + drv + "' failed with exit code 1", "cc: No space left on device\nmake: Error 1", "cc: No space left on device; free space"},
		{"builder for '" + drv + "' failed with exit code 1", "make: Error 1", ""},
	} {
		got, ok := builderEnd(test.message, strings.Split(test.tail, "\n"))
		if ok != (test.want != "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q", test.message, got)
		}
	}
}

func TestWhatIsNoJSONIsQuoted(t *testing.T) {
	for printed, want := range map[string]string{
		"":                    "printed nothing",
		"  \n":                "printed nothing",
		`{"schema": 1, "app`:  "ends in the middle",
		"<html>\x1b[2Jhello":  `printed "<html>hello", which is not JSON`,
		`{"a": inf}`:          "infinite",
		`{"a": -inf}`:         "infinite",
		`{"a": nan}`:          "infinite",
		`{"a": "` + "\xff\"}": notUTF8,
		`{} {}`:               "not JSON",
	} {
		var into map[string]any
		if err := decode("evaluating", []byte(printed), &into); err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: %v, want %s", printed, err, want)
		}
	}
}

// A program named nix ends badly in every possible way.
func TestNixThatEndsBadlyIsOneClearLine(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	for script, want := range map[string]string{
		"kill -9 $$":  "evaluating: nix was killed; if memory was full",
		"kill -11 $$": "evaluating: nix ended by a signal (segmentation fault); run the same command again",
		"exit 7":      "evaluating: nix ended with exit status 7 and gave no reason; check it with libre doctor",
		"printf 'error: cannot connect to socket at %s: Connection refused\\n' /x >&2; exit 1": "evaluating: cannot connect to socket at /x: Connection refused; start Nix's daemon",
	} {
		if err := os.WriteFile(filepath.Join(dir, "nix"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := new(Nix).run(t.Context(), "evaluating", call{program: "nix"})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", script, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "nix"), []byte("#!/bin/sh\ntouch "+dir+"/hangs\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := new(Nix).run(ctx, "evaluating", call{program: "nix"})
		ended <- err
	}()
	if err := testkit.Eventually(func() error { _, err := os.Stat(filepath.Join(dir, "hangs")); return err }); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
