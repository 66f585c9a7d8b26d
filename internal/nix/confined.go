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

// copies tells whether a version of Nix, as Version gives it, lets an evaluation copy
// any file into the store: path, fetchTree and getFlake do so with a wrong hash, before
// they compare it. Nix does until 2.20, and Lix was made from 2.18.
// https://nix.dev/manual/nix/latest/release-notes/rl-2.20
func copiesFiles(version string) bool {
	major, minor, ok := versionNumbers(version)
	return !ok || strings.Contains(version, "Lix") || major == 2 && minor < 20
}

// runConfined runs nix in a catalogue's folder so that it reads no file of this machine
// but those that it needs, where it must: always, or where this Nix copies. More paths
// that it may read can be named.
func (n *Nix) runConfined(ctx context.Context, cmd *exec.Cmd, always bool, more ...string) error {
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
	// In a file: what is built while evaluating may ask for any variable of Nix's.
	settings := filepath.Join(temporary, "nix.conf")
	if err := os.WriteFile(settings, []byte(userSettings()), 0o600); err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary, "NIX_CONFIG=", "NIX_USER_CONF_FILES="+settings)
	if exists("/nix/var/nix/daemon-socket/socket") && os.Getenv("NIX_REMOTE") == "" {
		cmd.Env = append(cmd.Env, "NIX_REMOTE=daemon") // root would mount the store, and build, itself
	}
	readable := process.Readable{Paths: append(append(userPaths(), temporary), more...)}
	if err := addCheckout(ctx, cmd.Dir, &readable); err != nil {
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

// confinedError is of a run that had neither keys nor logins.
type confinedError struct{ error }

func (e *confinedError) Unwrap() error { return e.error }

// public are files and folders in which a user keeps no secrets; what is not there is
// passed over. Of /etc those that programs look up names, hosts and certificates in.
var public = []string{
	"/nix", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/run/current-system/sw",
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
	"/proc/cpuinfo", "/proc/filesystems", "/proc/meminfo", "/proc/stat", "/proc/sys", "/sys/devices/system/cpu", "/sys/fs/cgroup",
	"/etc/alternatives", "/etc/ca-certificates", "/etc/gai.conf", "/etc/gitconfig", "/etc/group", "/etc/host.conf", "/etc/hosts", "/etc/ld.so.cache",
	"/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/nix/machines", "/etc/nix/registry.json", "/etc/nsswitch.conf",
	"/etc/passwd", "/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/protocols", "/etc/resolv.conf", "/etc/services",
	"/etc/ssh/ssh_config", "/etc/ssh/ssh_config.d", "/etc/ssh/ssh_known_hosts", "/etc/ssl/cert.pem", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
}

// userPaths are the files that nix, git and ssh need of this user: what nix fetched
// before, and settings. Keys are not among them, nor are Nix's settings, which may have
// access tokens: those are passed on.
func userPaths() []string {
	home, _ := os.UserHomeDir()
	from := func(variable, otherwise string) string {
		return cmp.Or(os.Getenv(variable), filepath.Join(home, otherwise))
	}
	cache, config := filepath.Join(from("XDG_CACHE_HOME", ".cache"), "nix"), from("XDG_CONFIG_HOME", ".config")
	_ = os.MkdirAll(cache, 0o755) // what nix makes later could not be read
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

// addCheckout adds what nix reads of a catalogue: of a repository what git tracks, and
// git's own files; else all.
func addCheckout(ctx context.Context, dir string, readable *process.Readable) error {
	place, index, err := queryGit(ctx, dir)
	if errors.Is(err, git.ErrNoRepository) || errors.Is(err, git.ErrMissing) {
		readable.Paths = append(readable.Paths, dir)
		return nil
	}
	if err != nil {
		return err
	}
	folders, err := git.Output(ctx, dir, "rev-parse", "--absolute-git-dir", "--git-common-dir")
	if err != nil {
		return err
	}
	top, _, _ := strings.Cut(place, "\n")
	readable.Names = append(readable.Names, top)
	readable.Paths = append(readable.Paths, filepath.Join(top, ".git")) // of a worktree it is a file
	for folder := range strings.SplitSeq(folders, "\n") {
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(dir, folder)
		}
		readable.Paths = append(readable.Paths, folder)
	}
	for entry := range strings.SplitSeq(index, "\x00") {
		// What a link leads to is not asked for.
		if stage, name, ok := strings.Cut(entry, "\t"); ok && strings.HasPrefix(stage, "100") {
			readable.Paths = append(readable.Paths, filepath.Join(top, name))
		}
	}
	return nil
}

// UserSetting is the value that this user's settings give a setting of Nix, with what
// they add to it; "" where they say nothing. Nix is not asked.
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

// userSettings are this user's settings of Nix, as NIX_CONFIG has them: Nix cannot read
// the files.
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
	slices.Reverse(files) // the first has the last word
	folder := cmp.Or(os.Getenv("NIX_CONF_DIR"), "/etc/nix")
	var text strings.Builder
	for _, path := range append([]string{filepath.Join(folder, "nix.conf")}, files...) {
		appendSettings(&text, path, 0)
	}
	return text.String() + os.Getenv("NIX_CONFIG")
}

// appendSettings adds the settings of a file, and of those that it includes.
func appendSettings(text *strings.Builder, path string, depth int) {
	content, err := file.Read(path)
	if err != nil || depth > 10 {
		return // as Nix does
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
