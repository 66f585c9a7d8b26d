package settings

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/sign"
)

// read reads a text as libre.yaml, with variables NAME=VALUE.
func read(t *testing.T, text string, variables ...string) (*Settings, error) {
	t.Helper()
	return readIn(t, t.TempDir(), text, variables...)
}

func readIn(t *testing.T, dir, text string, variables ...string) (*Settings, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(dir, func(name string) string {
		for _, variable := range variables {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				return value
			}
		}
		return ""
	})
}

func TestEverySettingIsRead(t *testing.T) {
	const text = `
registry: localhost:5000/coop
copyTo: [mirror.example/coop, "[::1]:5000"]
alsoTag: ["{major}.{minor}", latest, 5]
forge: forgejo
groups:
  public: &all [docs, "*/*/lyon"]
  same: *all
packageSet: host
engine: podman
sign:
  format: classic
  key: env://KEY
  publicKey: keys/cosign.pub
`
	dir := t.TempDir()
	got, err := readIn(t, dir, text)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"docs", "*/*/lyon"}
	want := &Settings{
		Registry: "localhost:5000/coop", CopyTo: []string{"mirror.example/coop", "[::1]:5000"}, AlsoTag: []string{"{major}.{minor}", "latest", "5"},
		Forge: "forgejo", Groups: map[string][]string{"public": all, "same": all}, PackageSet: "host", Engine: containerfile.Choice{Name: "podman"},
		Sign: Sign{Config: sign.Config{Format: sign.Classic, Key: "env://KEY", PublicKeys: []sign.PublicKey{{File: filepath.Join(dir, "keys/cosign.pub")}}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	got, err = readIn(t, dir, "sign:\n  keyless:\n    fulcio: http://127.0.0.1:5555\n    timestamp: https://t.example/api\n    trustedRoot: root.json\n    identity:\n      issuer: http://issuer.example\n      subject: me@example\\.org\n")
	if err != nil {
		t.Fatal(err)
	}
	keyless := &sign.Keyless{Fulcio: "http://127.0.0.1:5555", Timestamp: "https://t.example/api", TrustedRoot: filepath.Join(dir, "root.json"), Identity: sign.Identity{Issuer: "http://issuer.example", Subject: `me@example\.org`}}
	if !reflect.DeepEqual(got.Sign.Keyless, keyless) {
		t.Errorf("got %+v", got.Sign.Keyless)
	}
	if got, err = read(t, "sign: none"); err != nil || !got.Sign.None {
		t.Errorf("sign: none gives %+v, %v", got, err)
	}
}

// The file of a secret is relative to libre.yaml.
func TestSecretsOfStepsAreRead(t *testing.T) {
	got, err := read(t, "build:\n  secrets:\n    npm_token: {environment: NPM_TOKEN, apps: [docs, meet]}\n    netrc: {file: keys/netrc, apps: [docs]}\n    etc: {file: /etc/netrc, apps: [docs]}\n  ssh:\n    default: {environment: SSH_AUTH_SOCK, apps: [docs]}\n")
	if err != nil {
		t.Fatal(err)
	}
	file := got.Build.Secrets["netrc"].File
	if !filepath.IsAbs(file) || !strings.HasSuffix(file, "/keys/netrc") {
		t.Errorf("file %s", file)
	}
	want := Build{
		Secrets: map[string]containerfile.Secret{
			"npm_token": {Environment: "NPM_TOKEN", Apps: []string{"docs", "meet"}},
			"netrc":     {File: file, Apps: []string{"docs"}},
			"etc":       {File: "/etc/netrc", Apps: []string{"docs"}},
		},
		SSH: map[string]containerfile.Secret{"default": {Environment: "SSH_AUTH_SOCK", Apps: []string{"docs"}}},
	}
	if !reflect.DeepEqual(got.Build, want) {
		t.Errorf("%+v", got.Build)
	}
}

func TestSeveralPublicKeysAreRead(t *testing.T) {
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for text, want := range map[string][]sign.PublicKey{
		"publicKey: cosign.pub":       {{File: in("cosign.pub")}},
		"publicKey: [cosign.pub]":     {{File: in("cosign.pub")}},
		"publicKey: /etc/cosign.pub":  {{File: "/etc/cosign.pub"}},
		"publicKey: ../up/cosign.pub": {{File: in("../up/cosign.pub")}},
		"publicKey: ''":               nil,
		"publicKey:\n  - file: old.pub\n    until: 2026-12-31\n  - new.pub":             {{File: in("old.pub"), Until: end}, {File: in("new.pub")}},
		`publicKey: [env://KEY, {file: env://OLD, until: "2026-12-31"}, {file: a.pub}]`: {{File: "env://KEY"}, {File: "env://OLD", Until: end}, {File: in("a.pub")}},
	} {
		got, err := readIn(t, dir, "sign:\n  "+strings.ReplaceAll(text, "\n", "\n  "))
		if err != nil || !reflect.DeepEqual(got.Sign.PublicKeys, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// A copy without an origin is a copy of the catalogue's registry.
func TestCopiesAreRead(t *testing.T) {
	for text, want := range map[string][]sign.Copy{
		"registry: a.example/coop\nsign: {copies: [b.example]}":                              {{Of: "a.example/coop", In: "b.example"}},
		"sign: {copies: [b.example, {of: c.example/x, in: d.example}]}\nregistry: a.example": {{Of: "a.example", In: "b.example"}, {Of: "c.example/x", In: "d.example"}},
		"sign: {copies: [{in: a.example/coop, of: a.example/staging}]}":                      {{Of: "a.example/staging", In: "a.example/coop"}},
		"registry: a.example\ncopyTo: [b.example]\nsign: {key: cosign.key}":                  {{Of: "a.example", In: "b.example"}},
		"registry: a.example\ncopyTo: [b.example]\nsign: {copies: [c.example]}":              {{Of: "a.example", In: "c.example"}, {Of: "a.example", In: "b.example"}},
		"registry: a.example/x\nsign: {copies: [{of: a.example/staging, in: a.example/x}]}":  {{Of: "a.example/staging", In: "a.example/x"}},
		"registry: a.example\nsign: {copies: []}":                                            nil,
	} {
		got, err := read(t, text)
		if err != nil || !reflect.DeepEqual(got.Copies(), want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// A value may be a whole file. An error shows only its beginning.
func TestLongValuesAreCut(t *testing.T) {
	long := strings.Repeat("a", 1<<17)
	for _, text := range []string{"registry: " + long, "engine: " + long, "groups: {" + long + "/: [a]}", "groups: {a: ['@" + long + "']}", "sign: {key: 'x://" + long + "'}",
		"sign: {keyless: {identity: {issuer: 'https://a.example', subject: '(" + long + "'}}}", "ca: " + long, long + ": a", "alsoTag: ['{" + long + "}']"} {
		if _, err := read(t, text); err == nil || len(err.Error()) > 900 {
			t.Errorf("%.40s: %.2000v", text, err)
		}
	}
}

func TestNothingSetIsNoError(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# only a comment\n", "---\n", "\ufeff# with a mark\n", "registry:\ngroups:\nsign:\n", "{}", "engine: ''\r\n"} {
		got, err := read(t, text)
		if err != nil || !reflect.DeepEqual(got, &Settings{}) {
			t.Errorf("%q gives %+v, %v", text, got, err)
		}
	}
	if _, err := Read(t.TempDir(), func(string) string { return "" }); err != nil {
		t.Errorf("no file: %v", err)
	}
}

func TestLicensePolicyIsRead(t *testing.T) {
	got, err := read(t, "licenses:\n  deny: [\"AGPL-*\"]\n  allow: [MIT, LicenseRef-coop]\n  exceptions:\n    - component: busybox\n      license: GPL-2.0-only\n      reason: a tool\n      expires: 2027-06-30\n")
	if err != nil {
		t.Fatal(err)
	}
	want := license.Policy{Deny: []string{"AGPL-*"}, Allow: []string{"MIT", "LicenseRef-coop"}, Exceptions: []license.Exception{
		{Component: "busybox", License: "GPL-2.0-only", Reason: "a tool", Expires: time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC), Place: "libre.yaml:5"},
	}}
	if !reflect.DeepEqual(got.Licenses, want) {
		t.Errorf("got %+v, want %+v", got.Licenses, want)
	}
}

func TestEveryWrongValueIsNamedWithLineAllowedAndExample(t *testing.T) {
	for text, want := range map[string]string{
		"\nengine: dokcer":          `libre.yaml:2: engine is "dokcer", expected buildah, podman, docker, buildkit or none; for example: engine: buildah`,
		"engine: [docker]":          `libre.yaml:1: engine is a list, expected buildah, podman, docker, buildkit or none; for example: engine: buildah`,
		"sign: {copies: b.example}": `libre.yaml:1: sign.copies is "b.example", expected a list of REGISTRY[/NAMESPACE]`,
		"registry: a.example\nsign: {copies: [https://b.example]}":                `libre.yaml:2: sign.copies[] is "https://b.example" (it has a scheme), expected a list of REGISTRY`,
		"sign: {copies: [{of: a.example}]}":                                       `libre.yaml:1: sign.copies[] is a mapping (it needs both of and in), expected`,
		"sign: {copies: [{of: a.example, to: b.example}]}":                        `libre.yaml:1: unknown key "to" in sign.copies[], expected one of of, in`,
		"sign: {copies: [b.example]}":                                             `libre.yaml:1: sign.copies names b.example, but there is no registry that it could be a copy of; for example: copies: [{of: registry.example/coop, in: b.example}]`,
		"sign: {copies: [docker.io/a]}\nregistry: index.docker.io/a":              `libre.yaml:1: sign.copies names docker.io/a, which is the registry; say what it has copies of`,
		"build: {trustUpstream: yes}":                                             `libre.yaml:1: build.trustUpstream is "yes", expected true or false; for example: trustUpstream: true`,
		"build: {trustUpstream: [true]}":                                          `libre.yaml:1: build.trustUpstream is a list, expected true or false`,
		"build: {proxy: proxy.example}":                                           `libre.yaml:1: build.proxy is "proxy.example", expected the URL of a proxy`,
		"build: {proxy: 'http://u:secret@p.example'}":                             `libre.yaml:1: build.proxy is "http://…@p.example" (it contains a login: put the URL in a variable)`,
		"build: {proxy: 'http://u:se cret@p.example'}":                            `libre.yaml:1: build.proxy is "http://…@p.example", expected`,
		"build: {proxy: 'http://u:se/cret@p.example'}":                            `libre.yaml:1: build.proxy is "http://…@p.example", expected`,
		"build: {proxy: 'http://u:se@cr/et@p.example'}":                           `libre.yaml:1: build.proxy is "http://…@p.example" (it contains a login`,
		"build: {proxy: 'http://ghp_1@p.example'}":                                `libre.yaml:1: build.proxy is "http://…@p.example" (it contains a login`,
		"build: {secrets: [npm_token]}":                                           `libre.yaml:1: build.secrets is a list, expected names, each with environment or file, and apps; for example: secrets: {npm_token: {environment: NPM_TOKEN, apps: [docs]}}`,
		"build: {secrets: {npm_token: ghp_1}}":                                    `libre.yaml:1: build.secrets.npm_token is a value, expected environment or file, and apps; for example: npm_token: {environment: VARIABLE, apps: [docs]}`,
		"build:\n  secrets:\n    a: {apps: [docs]}":                               `libre.yaml:3: build.secrets.a needs one of environment and file`,
		"build: {secrets: {a: {environment: A, file: a, apps: [docs]}}}":          `libre.yaml:1: build.secrets.a needs one of environment and file`,
		"build: {secrets: {a: {environment: A}}}":                                 `libre.yaml:1: build.secrets.a has no apps: list those whose Containerfiles may read it; for example: a: {environment: VARIABLE, apps: [docs]}`,
		"build: {secrets: {a: {environment: A, apps: []}}}":                       `libre.yaml:1: build.secrets.a has no apps`,
		"build: {secrets: {a: {environment: A, apps: ['*']}}}":                    `libre.yaml:1: build.secrets.a.apps[] is "*", expected a list of apps; for example: apps: [docs]`,
		"build: {secrets: {a: {environment: 'A=b', apps: [docs]}}}":               `libre.yaml:1: build.secrets.a.environment is "A=b", expected the name of a variable`,
		"build: {secrets: {'a,src=/etc/shadow': {environment: A, apps: [docs]}}}": `libre.yaml:1: build.secrets has the key "a,src=/etc/shadow": a name starts with`,
		"build: {ssh: {default: {agent: SSH_AUTH_SOCK, apps: [docs]}}}":           `libre.yaml:1: unknown key "agent" in build.ssh.default, expected one of environment, file, apps`,
		"limits: {archive: 8}":                                                    `libre.yaml:1: limits.archive is "8", expected a size in MiB or GiB`,
		"limits: {archive: 0 GiB}":                                                `libre.yaml:1: limits.archive is "0 GiB", expected a size in MiB or GiB`,
		"limits: {answer: 30}":                                                    `libre.yaml:1: limits.answer is "30", expected a time in s, m or h`,
		"limits: {answer: -5m}":                                                   `libre.yaml:1: limits.answer is "-5m", expected a time`,
		"build: {trust: true}":                                                    `libre.yaml:1: unknown key "trust" in build, expected one of proxy, ca, secrets, ssh, trustUpstream`,
		"licenses: {deny: [AGPL-3]}":                                              `libre.yaml:1: licenses.deny[] is "AGPL-3" (it is not an SPDX license identifier), expected a list of SPDX license identifiers, with * and ?; for example: deny: ["AGPL-*", SSPL-1.0]`,
		"licenses: {allow: MIT}":                                                  `libre.yaml:1: licenses.allow is "MIT", expected a list`,
		"licenses: {allow: [MIT OR Zlib]}":                                        `libre.yaml:1: licenses.allow[] is "MIT OR Zlib" (it is not an SPDX`,
		"licenses:\n  exceptions:\n  - component: busybox":                        `libre.yaml:3: licenses.exceptions[] is a mapping (it needs both component and reason), expected`,
		"licenses: {exceptions: [{component: a, until: 2027-01-01}]}":             `libre.yaml:1: unknown key "until" in licenses.exceptions[], expected one of component, license, reason, expires`,
		"licenses: {exceptions: [{component: a, expires: next year}]}":            `libre.yaml:1: licenses.exceptions[].expires is "next year", expected the last day`,
		"engine: Docker":                                                          `libre.yaml:1: engine is "Docker", expected buildah`,
		"packageSet: 24.05":                                                       `libre.yaml:1: packageSet is "24.05", expected nixpkgs or host; for example: packageSet: host`,
		"forge: gitea":                                                            `libre.yaml:1: forge is "gitea", expected github, forgejo or gitlab; for example: forge: forgejo`,
		"forge:\n  github: x":                                                     `libre.yaml:2: forge is a mapping, expected github, forgejo or gitlab`,
		"alsoTag: latest":                                                         `libre.yaml:1: alsoTag is "latest", expected a list of tags, which may contain {major} and {minor} of the version; for example: alsoTag: ["{major}.{minor}", latest]`,
		"alsoTag: {major}":                                                        `libre.yaml:1: alsoTag is a mapping, expected a list of tags`,
		"alsoTag:\n- latest\n- '{patch}'":                                         `libre.yaml:3: alsoTag[] is "{patch}" (the only placeholders are {major} and {minor}), expected`,
		"alsoTag: [5.4.1-2]":                                                      `alsoTag[] is "5.4.1-2" (it looks like the tag of a release, which never moves)`,
		"alsoTag: [latest, latest]":                                               `alsoTag[] is "latest" (it is listed twice)`,
		"alsoTag: [la test]":                                                      `alsoTag[] is "la test" (a tag consists of letters`,
		"alsoTag: [[latest]]":                                                     `alsoTag[] is a list`,
		"alsoTag: [~]":                                                            `alsoTag[] is empty`,
		"registry: https://r.example/coop":                                        `libre.yaml:1: registry is "https://r.example/coop" (it has a scheme), expected REGISTRY[/NAMESPACE]; for example: registry: registry.example/coop`,
		"registry: r.example/coop:1":                                              `(it has a tag)`,
		"registry: r.example/Coop":                                                `(its namespace has upper case letters)`,
		"registry: coop":                                                          `(it has no host: for Docker Hub, write docker.io/coop)`,
		"registry: r.example:x/coop":                                              `(its port is not a number from 1 to 65535)`,
		"registry: r.example:70000":                                               `(its port is not a number from 1 to 65535)`,
		"registry: r.example//coop":                                               `(its namespace has other characters than letters`,
		"registry: [r.example]":                                                   `registry is a list`,
		"registry: [::1]:5000":                                                    `invalid YAML`,
		"registry: me:hunter2@r.example/coop":                                     `registry is "…@r.example/coop" (it has an @`,
		"copyTo: r.example/coop":                                                  `libre.yaml:1: copyTo is "r.example/coop", expected a list of REGISTRY[/NAMESPACE]; for example: copyTo: [mirror.example/coop]`,
		"registry: a.example\ncopyTo: [a.example]":                                `libre.yaml:2: copyTo names a.example, which is the registry; for example: copyTo: [mirror.example/coop]`,
		"copyTo: [docker.io/a]\nregistry: index.docker.io/a":                      `libre.yaml:1: copyTo names docker.io/a, which is the registry`,
		"\nca: nosuch.pem":                                                        `libre.yaml:2: ca is "nosuch.pem" (open `,
		"ca: /etc/passwd":                                                         `libre.yaml:1: ca is "/etc/passwd" (reading /etc/passwd: no certificate; expected -----BEGIN CERTIFICATE-----), expected a PEM file of certificate authorities for registries and forges; for example: ca: our-ca.pem`,
		"ca: /etc":                                                                `libre.yaml:1: ca is "/etc" (read /etc: it is a folder, expected a file), expected a PEM file`,
		"ca: {file: a}":                                                           `libre.yaml:1: ca is a mapping, expected a PEM file`,
		"groups: [docs]":                                                          `libre.yaml:1: groups is a list, expected names, each with a list of selections; for example: groups: {lyon: ["*/*/lyon", docs]}`,
		"groups:\n  lyon: docs":                                                   `libre.yaml:2: groups.lyon is "docs", expected a list of selections; for example: lyon: ["*/*/lyon", docs]`,
		"groups:\n  lyon: {docs: true}":                                           `libre.yaml:2: groups.lyon is a mapping`,
		"groups:\n  lyon:\n  - docs:5.4":                                          `libre.yaml:3: groups.lyon[] is "docs:5.4" (selection "docs:5.4", expected app, app/component or app/component/variant)`,
		"groups:\n  lyon:\n  - docs: web":                                         `libre.yaml:3: groups.lyon[] is a mapping`,
		"groups:\n  lyon: ['@all']":                                               `groups.lyon[] is "@all" (a group cannot contain a group)`,
		"groups:\n  lyon: []":                                                     `libre.yaml:2: groups.lyon is a list (it selects nothing)`,
		"groups:\n  'l/y': [docs]":                                                `libre.yaml:2: groups has the key "l/y": a group name starts with`,
		"groups:\n  a: [x]\n  b: [y]\n  a: [z]":                                   `libre.yaml:4: groups.a is set twice, first in line 2; remove line 4`,
		"engine: podman\nforge: github\nengine: docker":                           `libre.yaml:3: engine is set twice, first in line 1`,
		"engine: podman\n\"engine\": podman":                                      `libre.yaml:2: engine is set twice, first in line 1`,
		"registri: r.example":                                                     `libre.yaml:1: unknown key "registri", expected one of registry, copyTo, alsoTag, forge, groups, packageSet, engine, buildkit, build, cache, layers, limits, licenses, scan, ca, run, sbom, sign; for example: registry: registry.example/coop`,
		"package_set: host":                                                       `unknown key "package_set", expected one of registry, copyTo, alsoTag, forge, groups, packageSet, engine, buildkit, build, cache, layers, limits, licenses, scan, ca, run, sbom, sign; for example: packageSet: host`,
		"scan:\n  maxAge: 5 days":                                                 `libre.yaml:2: scan.maxAge is "5 days", expected a time in h`,
		"scan:\n  maxAge: -1h":                                                    `libre.yaml:2: scan.maxAge is "-1h", expected a time in h`,
		"scan:\n  gate: awful":                                                    `libre.yaml:2: scan.gate is "awful", expected critical, high, medium, low or negligible`,
		"buildkit: {host: builder:1234}":                                          `libre.yaml:1: buildkit.host is "builder:1234", expected unix:///PATH, tcp://HOST:PORT or kube-pod://POD; for example: host: tcp://builder.example:1234`,
		"buildkit: {host: tcp://builder}":                                         `buildkit.host is "tcp://builder"`,
		"buildkit: {host: unix://relative}":                                       `buildkit.host is "unix://relative"`,
		"buildkit: {host: ssh://builder}":                                         `buildkit.host is "ssh://builder"`,
		"buildkit: {host: kube-pod://A_B}":                                        `buildkit.host is "kube-pod://A_B"`,
		"buildkit: {cert: cert.pem}":                                              `buildkit is a mapping (cert and key need each other)`,
		"cache: file:///srv/cache":                                                `libre.yaml:1: cache is "file:///srv/cache", expected a mapping with to and key; for example: cache: {to: file:///srv/cache, key: cache.key}`,
		"cache:\n  to: file:///srv/cache":                                         `cache is a mapping (it needs both)`,
		"cache:\n  to: srv/cache\n  key: k":                                       `libre.yaml:2: cache.to is "srv/cache", expected the address of a binary cache of Nix: file://, https:// or s3://`,
		"cache:\n  to: file://srv/cache\n  key: k":                                `cache.to is "file://srv/cache"`,
		"cache:\n  to: ssh://cache.example\n  key: k":                             `cache.to is "ssh://cache.example"`,
		"cache:\n  to: https://me:x@cache.example\n  key: k":                      `(it contains a login: write that into the file of netrc-file in nix.conf)`,
		"cache:\n  to: s3://cache.example?secret-key=x\n  key: k":                 `(secret-key is in it: name the file with cache.key)`,
		"cache:\n  to: file:///srv/cache\n  key: https://key.example":             `libre.yaml:3: cache.key is "https://key.example" (a key is in a file or a variable)`,
		"scan:\n  command: grype":                                                 `libre.yaml:2: scan.command is "grype", expected a program and its arguments`,
		"scan:\n  command: []":                                                    `libre.yaml:2: scan.command is`,
		"scan:\n  command: [grype]":                                               `libre.yaml:2: scan.command is a list (it has no {sbom})`,
		"scan:\n  command: [\"\", \"{sbom}\"]":                                    `libre.yaml:2: scan.command is a list (it has no program)`,
		"scan:\n  database: [a]":                                                  `libre.yaml:2: scan.database is a list`,
		"sign: nothing":                                                           `libre.yaml:1: sign is "nothing", expected none, or a mapping with key or keyless; for example: sign: {key: cosign.key}`,
		"sign: [cosign.key]":                                                      `libre.yaml:1: sign is a list`,
		"sign:\n  keys: a.key":                                                    `libre.yaml:2: unknown key "keys" in sign, expected one of format, key, keyless, publicKey`,
		"sign:\n  format: cosign":                                                 `libre.yaml:2: sign.format is "cosign", expected bundle or classic; for example: format: bundle`,
		"sign:\n  key: awskms:///alias/x":                                         `libre.yaml:2: sign.key is "awskms:///alias/x" (a key is in a file or a variable), expected a file or env://VARIABLE; for example: key: cosign.key`,
		"sign:\n  key: env://A-B":                                                 `(not the name of a variable)`,
		"sign:\n  key: |\n    -----BEGIN PRIVATE KEY-----\n    hunter2\n":         `libre.yaml:2: sign.key is a key itself (a file name is one line)`,
		"sign:\n  publicKey: {}":                                                  `libre.yaml:2: sign.publicKey is a mapping, expected a file, env://VARIABLE, or a list of them; for example: publicKey: [new.pub, {file: old.pub, until: 2026-12-31}]`,
		"sign:\n  publicKey:\n  - new.pub\n  - file: old.pub\n    until: 31.12.2026":                `libre.yaml:5: sign.publicKey[].until is "31.12.2026", expected the last day on which the key is accepted, YEAR-MONTH-DAY; for example: until: 2026-12-31`,
		"sign:\n  publicKey: [{file: old.pub, until: 2026-02-30}]":                                  `libre.yaml:2: sign.publicKey[].until is "2026-02-30", expected`,
		"sign:\n  publicKey: [{file: old.pub, until: [2026-12-31]}]":                                `libre.yaml:2: sign.publicKey[].until is a list`,
		"sign:\n  publicKey:\n  - {file: old.pub, ends: 2026-12-31}":                                `libre.yaml:3: unknown key "ends" in sign.publicKey[], expected one of file, until`,
		"sign:\n  publicKey:\n  - new.pub\n  - until: 2026-12-31":                                   `libre.yaml:4: sign.publicKey[] is a mapping (it has no file)`,
		"sign:\n  publicKey: [a.pub, {file: a.pub}]":                                                `libre.yaml:2: sign.publicKey[] is a mapping (a.pub is listed twice)`,
		"sign:\n  publicKey: [[a.pub]]":                                                             `libre.yaml:2: sign.publicKey[] is a list`,
		"sign:\n  publicKey: ['']":                                                                  `libre.yaml:2: sign.publicKey[] is empty (it has no file)`,
		"sign:\n  publicKey: [old.pub]\n  keyless: {identity: {issuer: 'https://i', subject: s}}":   `it has both key and keyless`,
		"sign:\n  key: a.key\n  keyless:\n    identity: {issuer: 'https://i.example', subject: me}": `sign is a mapping (it has both key and keyless)`,
		"sign:\n  keyless: yes":                                                                     `libre.yaml:2: sign.keyless is "yes", expected a mapping with identity; for example: keyless: {identity: `,
		"sign:\n  keyless:\n    identity:\n      issuer: https://i.example":                         `libre.yaml:3: sign.keyless is a mapping (identity: expected an issuer and a subject)`,
		"sign:\n  keyless:\n    identity:\n      subject: '['":                                      `libre.yaml:4: sign.keyless.identity.subject is "[" (error parsing regexp: missing closing ]: `,
		"sign:\n  keyless:\n    identity:\n      issuer: i.example":                                 `libre.yaml:4: sign.keyless.identity.issuer is "i.example" (an issuer is a URL`,
		"sign:\n  keyless:\n    fulcio: http://fulcio.example":                                      `libre.yaml:3: sign.keyless.fulcio is "http://fulcio.example" (libre sends tokens there), expected an https URL; for example: fulcio: https://fulcio.example`,
		"- registry: r.example":                                                                     `libre.yaml:1: libre.yaml is a list, expected settings; for example: registry: registry.example/coop`,
		"registry r.example":                                                                        `libre.yaml:1: libre.yaml is "registry r.example", expected settings`,
		"groups:\n\tlyon: [docs]":                                                                   `libre.yaml:2: the line is indented with a tab; indent it with spaces`,
		"groups:\n  \tlyon: [docs]\n":                                                               `libre.yaml:2: the line is indented with a tab`,
		"# é\n# \xe9\nengine: docker":                                                               `libre.yaml:2: not UTF-8; save the file as UTF-8`,
		"\xff\xfee\x00n\x00":                                                                        `libre.yaml:1: not UTF-8`,
		"engine: docker\x00":                                                                        `libre.yaml:1: it has a control character; remove it`,
		"engine: docker\n---\nforge: github":                                                        `a second YAML document starts here`,
		"alsoTag: [{major}.{minor}]":                                                                `libre.yaml:1: invalid YAML: `,
		"groups:\n  @lyon: [docs]":                                                                  `quote a value that contains any of`,
		"engine: *docker":                                                                           `libre.yaml:1: invalid YAML: unknown anchor 'docker' referenced`,
		"a: b\ngroups:\n  a: [x]\n engine: y":                                                       `libre.yaml:4: invalid YAML: did not find expected key; check the indentation, and quote`,
		"forge: x\nengine: a: b":                                                                    `libre.yaml:2: invalid YAML: mapping values are not allowed`,
		"forge: x\n\nengine: @a":                                                                    `libre.yaml:3: invalid YAML`,
		"groups:\n  <<: {a: [b]}":                                                                   `libre.yaml:2: << is not supported; write`,
		"[a]: b":                                                                                    `a list is not a key`,
		"groups: &g\n  a: *g":                                                                       `groups.a is a mapping`,
	} {
		_, err := read(t, text)
		switch {
		case err == nil:
			t.Errorf("%q is taken", text)
		case !strings.Contains(err.Error(), want):
			t.Errorf("%q:\n got %s\nwant %s", text, err, want)
		case strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "libre.yaml:") || fault.Fix(err) == "":
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestVariablesAreCheckedAndNamed(t *testing.T) {
	for variable, want := range map[string]string{
		"LIBRE_ENGINE=dokcer":                `LIBRE_ENGINE is "dokcer", expected buildah, podman, docker, buildkit or none; for example: LIBRE_ENGINE=buildah`,
		"LIBRE_PACKAGE_SET=nix":              `LIBRE_PACKAGE_SET is "nix", expected nixpkgs or host; for example: LIBRE_PACKAGE_SET=host`,
		"LIBRE_REGISTRY=https://r.example":   `LIBRE_REGISTRY is "https://r.example" (it has a scheme), expected REGISTRY[/NAMESPACE]; for example: LIBRE_REGISTRY=registry.example/coop`,
		"LIBRE_REGISTRY=u:hunter2@r.example": `LIBRE_REGISTRY is "…@r.example" (it has an @`,
	} {
		_, err := read(t, "engine: podman\n", variable)
		if err == nil || !strings.HasPrefix(err.Error(), want) || !fault.Is(err, fault.Usage) {
			t.Errorf("%s:\n got %v\nwant %s", variable, err, want)
		}
	}
	got, err := read(t, "registry: a.example\ncopyTo: [b.example]\nengine: podman\n", "LIBRE_REGISTRY=c.example", "LIBRE_ENGINE=docker", "LIBRE_PACKAGE_SET=host")
	if err != nil || !reflect.DeepEqual(got, &Settings{Registry: "c.example", Engine: containerfile.Choice{Name: "docker"}, PackageSet: "host"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// If a link were read, errors would quote the file that it leads to.
func TestALinkIsNotRead(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(elsewhere, []byte("canary: hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(file string) error{
		"to a file elsewhere": func(file string) error { return os.Symlink(elsewhere, file) },
		"to a file beside it": func(file string) error {
			beside := filepath.Join(filepath.Dir(file), "secret")
			return errors.Join(os.WriteFile(beside, []byte("canary"), 0o600), os.Symlink("secret", file))
		},
		"to nothing": func(file string) error { return os.Symlink("/nonexistent", file) },
		"a folder":   func(file string) error { return os.Mkdir(file, 0o700) },
		"a pipe":     func(file string) error { return syscall.Mkfifo(file, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := make(filepath.Join(dir, File)); err != nil {
				t.Fatal(err)
			}
			_, err := Read(dir, func(string) string { return "" })
			if err == nil || err.Error() != "libre.yaml is a link, a folder or a device, not a file; replace it with a file" {
				t.Error(err)
			}
		})
	}
}
