package nix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/process"
)

// copiesFiles reports whether a version of Nix, as Version returns it, lets an evaluation
// copy any file to the store: before 2.20 path, fetchTree and getFlake copy a file before
// they compare its hash. Lix is a fork of 2.18.
// https://nix.dev/manual/nix/latest/release-notes/rl-2.20
func copiesFiles(version string) bool {
	major, minor, ok := versionNumbers(version)
	return !ok || strings.Contains(version, "Lix") || major == 2 && minor < 20
}

// runConfined runs nix in a catalogue's folder, so that it can read only the files that it
// needs, and the paths in more. If always is false, it does so only if this Nix copies files.
// The tracked files may be known; otherwise they are nil.
func (n *Nix) runConfined(ctx context.Context, cmd *exec.Cmd, known *tracked, always bool, more ...string) error {
	if n.AllowLocalInputs {
		return cmd.Run()
	}
	if !always {
		version, err := n.Version(ctx)
		if err != nil {
			return err
		}
		if !copiesFiles(version) {
			return cmd.Run()
		}
	}
	temporary, err := os.MkdirTemp("", "libre-nix-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	// In a file, because builds during the evaluation may read Nix's variables.
	settings := filepath.Join(temporary, "nix.conf")
	if err := os.WriteFile(settings, []byte(userSettings()), 0o600); err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary, "NIX_CONFIG=", "NIX_USER_CONF_FILES="+settings)
	if exists("/nix/var/nix/daemon-socket/socket") && os.Getenv("NIX_REMOTE") == "" {
		cmd.Env = append(cmd.Env, "NIX_REMOTE=daemon") // else root would mount the store and build itself
	}
	readable := process.Readable{Paths: append(append(userPaths(), temporary), more...)}
	if err := addCheckout(ctx, cmd.Dir, known, &readable); err != nil {
		return err
	}
	if err := readable.Start(cmd); errors.Is(err, process.ErrNoLandlock) {
		return &fault.Fault{
			Err: fmt.Errorf("this version of Nix can copy private files to the world-readable store, and %w, which would prevent it", err),
			Fix: "update Nix to 2.20 or newer, or trust the catalogue and its inputs: --allow-local-inputs",
		}
	} else if err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return &confinedError{err}
	}
	return nil
}

// confinedError is an error of a run without access to keys and logins.
type confinedError struct{ error }

func (e *confinedError) Unwrap() error { return e.error }

// public lists files and folders without secrets; missing ones are ignored. The ones in /etc
// are for names, hosts and certificates.
var public = []string{
	"/nix", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/run/current-system/sw",
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
	"/proc/cpuinfo", "/proc/filesystems", "/proc/meminfo", "/proc/stat", "/proc/sys", "/sys/devices/system/cpu", "/sys/fs/cgroup",
	"/etc/alternatives", "/etc/ca-certificates", "/etc/gai.conf", "/etc/gitconfig", "/etc/group", "/etc/host.conf", "/etc/hosts", "/etc/ld.so.cache",
	"/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/nix/machines", "/etc/nix/registry.json", "/etc/nsswitch.conf",
	"/etc/passwd", "/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/protocols", "/etc/resolv.conf", "/etc/services",
	"/etc/ssh/ssh_config", "/etc/ssh/ssh_config.d", "/etc/ssh/ssh_known_hosts", "/etc/ssl/cert.pem", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
}

// userPaths returns the user's files that nix, git and ssh need: caches and settings, but
// no keys. Nix's settings may have access tokens, so runConfined passes them itself.
func userPaths() []string {
	home, _ := os.UserHomeDir()
	from := func(variable, otherwise string) string {
		return cmp.Or(os.Getenv(variable), filepath.Join(home, otherwise))
	}
	cache, config := filepath.Join(from("XDG_CACHE_HOME", ".cache"), "nix"), from("XDG_CONFIG_HOME", ".config")
	_ = os.MkdirAll(cache, 0o755) // a folder that nix makes later would not be readable
	paths := append(slices.Clone(public), cache, filepath.Join(config, "nix/registry.json"), filepath.Join(config, "git/config"),
		cmp.Or(os.Getenv("GIT_CONFIG_GLOBAL"), filepath.Join(home, ".gitconfig")), filepath.Join(from("XDG_DATA_HOME", ".local/share"), "nix"),
		filepath.Join(home, ".ssh/config"), filepath.Join(home, ".ssh/known_hosts"))
	for _, variable := range []string{"NIX_SSL_CERT_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"} {
		paths = append(paths, process.Getenv(variable))
	}
	for _, name := range []string{"nix", "git", "ssh"} {
		found, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		whole, _ := filepath.EvalSymlinks(found)
		for _, program := range []string{found, whole} {
			paths = append(paths, program)
			if folder, above := filepath.Dir(program), filepath.Dir(filepath.Dir(program)); filepath.Base(folder) == "bin" {
				paths = append(paths, folder, filepath.Join(above, "lib"), filepath.Join(above, "lib64"), filepath.Join(above, "libexec"))
			}
		}
	}
	return paths
}

// addCheckout adds the files of a catalogue that nix reads: in a repository the tracked files
// and git's own, otherwise all.
func addCheckout(ctx context.Context, dir string, known *tracked, readable *process.Readable) error {
	if known == nil {
		var err error
		known = &tracked{}
		known.repository, err = queryGit(ctx, dir)
		if errors.Is(err, git.ErrNoRepository) || errors.Is(err, git.ErrMissing) {
			readable.Paths = append(readable.Paths, dir)
			return nil
		}
		if err != nil {
			return err
		}
	}
	readable.Names = append(readable.Names, known.top)
	readable.Paths = append(readable.Paths, filepath.Join(known.top, ".git")) // a file in a worktree
	for _, folder := range []string{known.gitDir, known.commonDir} {
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(dir, folder)
		}
		readable.Paths = append(readable.Paths, folder)
	}
	for entry := range strings.SplitSeq(known.index, "\x00") {
		// Links are not followed.
		if stage, name, ok := strings.Cut(entry, "\t"); ok && strings.HasPrefix(stage, "100") {
			readable.Paths = append(readable.Paths, filepath.Join(known.top, name))
		}
	}
	return nil
}

// UserSetting returns the value of a Nix setting in this user's files, with additions; ""
// if it is not set. It does not run Nix.
func UserSetting(name string) string {
	value := ""
	for line := range strings.Lines(userSettings()) {
		line, _, _ = strings.Cut(line, "#")
		key, text, found := strings.Cut(line, "=")
		switch key = strings.TrimSpace(key); {
		case found && key == name:
			value = strings.TrimSpace(text)
		case found && key == "extra-"+name:
			value = strings.TrimSpace(value + " " + strings.TrimSpace(text))
		}
	}
	return value
}

// userSettings returns this user's settings of Nix, in the format of NIX_CONFIG, because a
// confined Nix cannot read the files.
// https://nix.dev/manual/nix/latest/command-ref/conf-file
func userSettings() string {
	home, _ := os.UserHomeDir()
	files := filepath.SplitList(os.Getenv("NIX_USER_CONF_FILES"))
	if len(files) == 0 {
		folders := append([]string{cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config"))},
			filepath.SplitList(cmp.Or(os.Getenv("XDG_CONFIG_DIRS"), "/etc/xdg"))...)
		for _, folder := range folders {
			files = append(files, filepath.Join(folder, "nix/nix.conf"))
		}
	}
	slices.Reverse(files) // the first has precedence
	folder := cmp.Or(os.Getenv("NIX_CONF_DIR"), "/etc/nix")
	var text strings.Builder
	for _, path := range append([]string{filepath.Join(folder, "nix.conf")}, files...) {
		appendSettings(&text, path, 0)
	}
	return text.String() + os.Getenv("NIX_CONFIG")
}

// appendSettings adds the settings of a file and of the files that it includes.
func appendSettings(text *strings.Builder, path string, depth int) {
	content, err := file.Read(path)
	if err != nil || depth > 10 {
		return // like Nix
	}
	for line := range strings.Lines(string(content)) {
		words := strings.Fields(line)
		if len(words) == 2 && (words[0] == "include" || words[0] == "!include") {
			if !filepath.IsAbs(words[1]) {
				words[1] = filepath.Join(filepath.Dir(path), words[1])
			}
			appendSettings(text, words[1], depth+1)
			continue
		}
		text.WriteString(strings.TrimSuffix(line, "\n") + "\n")
	}
}
