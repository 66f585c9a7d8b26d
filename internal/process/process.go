// Package process starts other programs: with a chosen environment, in a process
// group of their own, ended politely when the context ends.
package process

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// graceful is how long a program may take to end after it was asked to.
const graceful = 10 * time.Second

// kept are variables that every program gets; a name that ends in * is a family of
// them. What is not here stays with libre: GIT_DIR would make git, and nix with it,
// read another repository, and tokens are nobody else's business.
var kept = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "XDG_*", "NIX_*",
	"LANG", "LANGUAGE", "LC_*", "LOCALE_ARCHIVE*",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH*",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_*",
	"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
	"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "SOCKS_SERVER", "GIT_PROXY_COMMAND",
}

// Go are the variables of the go program, which fixed-output derivations get too.
// Git are those by which people configure git; none of them names a repository.
var (
	Go = []string{"GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOENV", "GOINSECURE", "GOVCS", "GOAUTH", "NETRC",
		"GOMODCACHE", "GOPATH", "GOCACHE"}
	Git = []string{"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_*", "GIT_CONFIG_VALUE_*",
		"GIT_AUTHOR_*", "GIT_COMMITTER_*", "EMAIL", "GIT_ASKPASS", "SSH_ASKPASS", "GNUPGHOME", "GPG_TTY", "GIT_TRACE*", "GIT_OPTIONAL_LOCKS",
		"DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"}
)

// authorities are the variables that name the one file of authorities that git and nix trust.
var authorities = []string{"GIT_SSL_CAINFO", "NIX_SSL_CERT_FILE"}

// trusted is the file of Trust.
var trusted atomic.Value

// Trust names a file of certificates in PEM, which programs started from now on trust in
// place of the system's, unless the environment names one.
func Trust(file string) { trusted.Store(file) }

// Getenv is the value that programs get of a variable.
func Getenv(name string) string {
	if value := os.Getenv(name); value != "" || !slices.Contains(authorities, name) {
		return value
	}
	file, _ := trusted.Load().(string)
	return file
}

// Environment is what a program gets of ours: the variables above, and those of more,
// which has names and families as above. A trace of git's goes to a file only: between
// what git says it would hide git's own last line.
func Environment(more ...string) []string {
	var environment []string
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "GIT_TRACE") && !strings.HasPrefix(value, "/") && name != "GIT_TRACE_REDACT" {
			continue
		}
		if contains(kept, name) || contains(more, name) {
			environment = append(environment, variable)
		}
	}
	for _, name := range authorities {
		if value := Getenv(name); value != "" && os.Getenv(name) == "" {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(known string) bool {
		family, isFamily := strings.CutSuffix(known, "*")
		return known == name || isFamily && strings.HasPrefix(name, family)
	})
}

// Command prepares a program that gets Environment and nothing else. It has a group
// of its own: Ctrl-C reaches it once, when ctx ends, as SIGTERM to the whole group;
// what still runs after ten seconds is killed.
func Command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = Environment()
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = graceful
	return command
}
