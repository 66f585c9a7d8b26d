// Package process starts other programs with a chosen environment, each in its own
// process group. When the context ends, the group gets SIGTERM.
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

// graceful is the time between SIGTERM and SIGKILL.
const graceful = 10 * time.Second

// kept lists the variables that every program gets; a name that ends in * is a
// prefix. All others stay with libre: GIT_DIR would make git, and so nix, read another
// repository, and tokens are secret.
var kept = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "XDG_*", "NIX_*",
	"LANG", "LANGUAGE", "LC_*", "LOCALE_ARCHIVE*",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH*",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_*",
	"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
	"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "SOCKS_SERVER", "GIT_PROXY_COMMAND",
}

// Go lists the variables of the go command, which fixed-output derivations get too.
// Git lists the variables that configure git; none of them names a repository.
var (
	Go = []string{"GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOENV", "GOINSECURE", "GOVCS", "GOAUTH", "NETRC",
		"GOMODCACHE", "GOPATH", "GOCACHE"}
	Git = []string{"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_*", "GIT_CONFIG_VALUE_*",
		"GIT_AUTHOR_*", "GIT_COMMITTER_*", "EMAIL", "GIT_ASKPASS", "SSH_ASKPASS", "GNUPGHOME", "GPG_TTY", "GIT_TRACE*", "GIT_OPTIONAL_LOCKS",
		"DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"}
)

// authorities lists the variables that name git's and nix's file of trusted CAs.
var authorities = []string{"GIT_SSL_CAINFO", "NIX_SSL_CERT_FILE"}

// trusted is the file that Trust was called with.
var trusted atomic.Value

// Trust makes programs started from now on trust the certificates of a PEM file instead
// of the system's, unless the environment names another file.
func Trust(file string) { trusted.Store(file) }

// Getenv returns the value that programs get for a variable.
func Getenv(name string) string {
	if value := os.Getenv(name); value != "" || !slices.Contains(authorities, name) {
		return value
	}
	file, _ := trusted.Load().(string)
	return file
}

// Environment returns the variables that a program gets: those above, and those listed
// in more, which may have prefixes too. Git's traces may only go to a file: on stderr
// they would hide git's own last line.
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
		prefix, isPrefix := strings.CutSuffix(known, "*")
		return known == name || isPrefix && strings.HasPrefix(name, prefix)
	})
}

// Command prepares a program with the variables of Environment, in its own process
// group: Ctrl-C does not reach it directly. When ctx ends, the whole group gets
// SIGTERM; after ten seconds the program is killed.
func Command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = Environment()
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = graceful
	return command
}
