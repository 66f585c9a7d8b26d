package nix

import (
	"testing"
)

// Error texts as Nix of several versions prints them, for the same mistakes.
func TestLastError(t *testing.T) {
	tests := []struct{ name, log, want string }{
		{"syntax, 2.8", `error: syntax error, unexpected ';'

       at /nix/store/yc8a494kfv0ckgzhkfbvwilljcbvsca6-source/apps/one/default.nix:3:10:

            2| mkApp {
            3|   name = ;
             |          ^
`, "apps/one/default.nix:3:10: syntax error, unexpected ';'"},
		{"syntax, 2.18 and later: a trace first", `error:
       … while evaluating the attribute 'apps'

         at /nix/store/yc8a494kfv0ckgzhkfbvwilljcbvsca6-source/mkCatalogue.nix:104:5:

          103|     inherit systems;

       error: syntax error, unexpected ';'

       at /nix/store/yc8a494kfv0ckgzhkfbvwilljcbvsca6-source/apps/one/default.nix:3:10:

            2| mkApp {
`, "apps/one/default.nix:3:10: syntax error, unexpected ';'"},
		{"syntax, lazy trees", `error: syntax error, unexpected ';'
       at «git+file:///home/me/catalogue»/apps/one/default.nix:3:10:
`, "apps/one/default.nix:3:10: syntax error, unexpected ';'"},
		{"throw, 2.8", "error: docs: component web: port http is \"80\", expected an integer\n(use '--show-trace' to show detailed location information)\n",
			`docs: component web: port http is "80", expected an integer`},
		{"throw, later", `error:
       … while calling the 'throw' builtin
         at /nix/store/yc8a494kfv0ckgzhkfbvwilljcbvsca6-source/mkApp.nix:98:30:
           97|
       (stack trace truncated; use '--show-trace' to show the full, detailed trace)

       error: docs: component web: port http is "80", expected an integer
`, `docs: component web: port http is "80", expected an integer`},
		{"colours", "\x1b[31;1merror:\x1b[0m undefined variable 'pkgz'\n\n       at \x1b[35;1m/nix/store/yc8a494kfv0ckgzhkfbvwilljcbvsca6-source/apps/x/default.nix:7:3:\x1b[0m\n",
			"apps/x/default.nix:7:3: undefined variable 'pkgz'"},
		{"libre's own file", "error: attempt to call something which is not a function\n       at /nix/store/yc8a494kfv0ckgzhkfbvwilljcbvsca6-source/image.nix:7:3:\n",
			"attempt to call something which is not a function"},
		{"nothing", "warning: hello\n", ""},
	}
	for _, test := range tests {
		if got := lastError(test.log); got != test.want {
			t.Errorf("%s: %q, expected %q", test.name, got, test.want)
		}
	}
}

func TestSupported(t *testing.T) {
	for version, want := range map[string]bool{
		"nix (Nix) 2.8.0": true, "nix (Nix) 2.34.1": true, "nix (Lix, like Nix) 2.93.0": true, "nix (Nix) 3.0": true,
		"nix (Nix) 2.3.16": false, "nix (Nix) 2.7.0": false, "": false, "nix": false,
	} {
		if Supported(version) != want {
			t.Errorf("%q: %v", version, !want)
		}
	}
}

func TestSRIHash(t *testing.T) {
	const want = "sha256-eCUyFvdypSmSL968X3kuteFqp4VNbn+zlyCbFBgpMqE="
	for _, hash := range []string{
		"sha256:78253216f772a529922fdebc5f792eb5e16aa7854d6e7fb397209b14182932a1",
		"sha256:189j54c196r0jyrpyvjdhnknmqdm5rwmzg6y5y92k9bjywb349bq",
	} {
		if got, err := sriHash(hash); got != want || err != nil {
			t.Errorf("%s: %s, %v", hash, got, err)
		}
	}
	for _, wrong := range []string{"", "md5:1", "sha256:xyz", "sha256:97"} {
		if _, err := sriHash(wrong); err == nil {
			t.Errorf("%q is taken for a hash", wrong)
		}
	}
}

func FuzzLastError(f *testing.F) {
	f.Add("error: x\n at /a/apps/b:1:2:")
	f.Fuzz(func(t *testing.T, log string) { lastError(log) })
}

func FuzzParseDump(f *testing.F) {
	f.Add([]byte("/nix/store/a\n00\n5\n\n1\n/nix/store/a\n"))
	f.Fuzz(func(t *testing.T, dump []byte) { _, _ = parseDump(dump) })
}
