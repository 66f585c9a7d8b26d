package nix

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	onArm    = "/nix/store/2c4xcb773mw0kyjz2kpr7369fr8xn2hg-x.drv"
	isNeeded = "error: a 'aarch64-linux' with features {} is required to build '" + onArm + "', but I am a 'x86_64-linux' with features {kvm}"
	noneIs   = "Failed to find a machine for remote build!\nderivation: 2c4xcb773mw0kyjz2kpr7369fr8xn2hg-x.drv\nrequired (system, features): (%s, )\n1 available machines:\n(systems, maxjobs, supportedFeatures, mandatoryFeatures)\n(aarch64-linux, 1, , )"
)

// logged passes messages of Nix to a watcher, and returns its failures and warnings.
func logged(t *testing.T, messages ...string) (failures map[string]*BuildFailure, warnings []string) {
	t.Helper()
	n := &Nix{LogDir: t.TempDir(), Warn: func(warning string) { warnings = append(warnings, warning) }}
	w := &watcher{nix: n, system: "x86_64-linux", failures: map[string]*BuildFailure{}, on: func(LogEvent) {}}
	var log strings.Builder
	for _, text := range messages {
		if !strings.HasPrefix(text, "ssh: ") { // ssh prints it itself
			text = fmt.Sprintf("@nix {\"action\":\"msg\",\"level\":0,\"msg\":%q}", text)
		}
		log.WriteString(text + "\n")
	}
	w.begin()
	w.watch(strings.NewReader(log.String()), w.event)
	w.warnOfBuilders()
	return w.failures, warnings
}

// Nix says in several messages why a remote builder does not build. libre says it in one line.
func TestBuildersThatDoNotBuildAreExplained(t *testing.T) {
	none := fmt.Sprintf(noneIs, "aarch64-linux")
	for _, test := range []struct {
		messages []string
		want     string
	}{
		{[]string{"cannot build on 'ssh://nix@arm': error: cannot connect to 'nix@arm': ssh: connect to host arm port 22: Connection refused", none, isNeeded},
			"it must be built on aarch64-linux, and Nix cannot build on ssh://nix@arm: connect to host arm port 22: Connection refused: try ssh nix@arm, as the user that runs Nix's builds"},
		{[]string{"ssh: connect to host arm port 22: Connection timed out", "cannot build on 'ssh-ng://arm': error: failed to start SSH connection to 'arm'", none, isNeeded}, // Nix 2.19 and later
			"it must be built on aarch64-linux, and Nix cannot build on ssh-ng://arm: connect to host arm port 22: Connection timed out: try ssh arm, as the user that runs Nix's builds"},
		{[]string{"cannot build on 'ssh-ng://nix@arm:2222': error: cannot connect to 'nix@arm': ssh: connect to host arm port 2222: Connection refused", none, isNeeded},
			"it must be built on aarch64-linux, and Nix cannot build on ssh-ng://nix@arm:2222: connect to host arm port 2222: Connection refused: try ssh -p 2222 nix@arm, as the user that runs Nix's builds"},
		{[]string{"cannot build on 'ssh://nix@arm': error: writing to file: Broken pipe: ssh: connect to host arm port 22: Connection refused", none, isNeeded}, // ssh ended before Nix wrote to it
			"it must be built on aarch64-linux, and Nix cannot build on ssh://nix@arm: connect to host arm port 22: Connection refused: try ssh nix@arm, as the user that runs Nix's builds"},
		{[]string{none, isNeeded},
			`it must be built on aarch64-linux, but this machine is x86_64-linux, and no builder is for it: correct --builders, or set crossFrom = "x86_64-linux" in the definition`},
		{[]string{isNeeded},
			`it must be built on aarch64-linux, but this machine is x86_64-linux: add a builder with --builders, or set crossFrom = "x86_64-linux" in the definition`},
		{[]string{"error: build of '" + onArm + "' on 'ssh://arm' failed: " + strings.ReplaceAll(isNeeded, "x86_64", "riscv64"), "error: builder for '" + onArm + "' failed with exit code 1"},
			"the builder ssh://arm is riscv64-linux, and does not build for aarch64-linux: correct what --builders, or builders in nix.conf, says of it"},
		{[]string{"error: build of '" + onArm + "' on 'ssh://arm' failed: builder for '" + onArm + "' failed due to signal 11 (Segmentation fault)", "error: builder for '" + onArm + "' failed with exit code 1"},
			"on the machine ssh://arm: the builder ended by signal 11"},
		{[]string{"error: build of '" + onArm + "' on 'ssh://arm' failed: hash mismatch in fixed-output derivation '" + onArm + "':\n  specified: sha256-AAAA\n     got:    sha256-BBBB", "error: builder for '" + onArm + "' failed with exit code 1"},
			"hash mismatch: the definition has sha256-AAAA, the source is sha256-BBBB"},
	} {
		failures, warnings := logged(t, test.messages...)
		if failure := failures[onArm]; failure == nil || failure.Message != test.want || len(warnings) > 0 {
			t.Errorf("%q:\n%+v, warnings %q, want\n%s", test.messages, failure, warnings, test.want)
		}
	}
}

// If no build fails, an unreachable builder causes one warning.
func TestBuildersWithoutAFailureAreWarnedOf(t *testing.T) {
	unreachable := "cannot build on 'ssh://nix@here': error: cannot connect to 'nix@here': Host key verification failed."
	failures, warnings := logged(t, unreachable, fmt.Sprintf(noneIs, "x86_64-linux"), unreachable, fmt.Sprintf(noneIs, "x86_64-linux"))
	want := "cannot build on ssh://nix@here: Host key verification failed: accept its key with ssh nix@here, as the user that runs Nix's builds"
	if len(failures) > 0 || !slices.Equal(warnings, []string{want}) {
		t.Errorf("failures %v, warnings %q, want %q", failures, warnings, want)
	}
}
