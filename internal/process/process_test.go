package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEnvironmentHasNoSecretAndNoRepository(t *testing.T) {
	for _, variable := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CEILING_DIRECTORIES", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY",
		"COSIGN_PASSWORD", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "BUILDAH_FORMAT", "GOPROXY", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_COUNT"} {
		t.Setenv(variable, "x")
	}
	for _, variable := range []string{"HOME", "LC_ALL", "NIX_PATH", "NIX_SSL_CERT_FILE", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "https_proxy", "SSL_CERT_FILE", "XDG_CACHE_HOME"} {
		t.Setenv(variable, "kept")
		if !slices.Contains(Environment(), variable+"=kept") {
			t.Errorf("%s is missing", variable)
		}
	}
	for _, variable := range Environment() {
		if strings.HasSuffix(variable, "=x") {
			t.Errorf("%s is passed on", variable)
		}
	}
	git := Environment(Git...)
	for _, variable := range []string{"GIT_CONFIG_GLOBAL=x", "GIT_CONFIG_COUNT=x"} {
		if !slices.Contains(git, variable) {
			t.Errorf("git does not get %s", variable)
		}
	}
	if slices.Contains(git, "GIT_DIR=x") {
		t.Error("git gets GIT_DIR")
	}
	t.Setenv("GIT_TRACE", "1")
	t.Setenv("GIT_TRACE2", "/tmp/trace")
	if git = Environment(Git...); slices.Contains(git, "GIT_TRACE=1") || !slices.Contains(git, "GIT_TRACE2=/tmp/trace") {
		t.Errorf("traces: %s", git)
	}
}

func TestCancelEndsTheProgramAndItsChildren(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "ended")
	ctx, cancel := context.WithCancel(context.Background())
	command := Command(ctx, "sh", "-c", `trap 'touch "`+mark+`"; exit 0' TERM; echo ready; sleep 60 & wait`)
	stdout, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	began := time.Now()
	command.Wait()
	if time.Since(began) > graceful {
		t.Error("its child was waited for")
	}
	if _, err := os.Stat(mark); errors.Is(err, os.ErrNotExist) {
		t.Error("it got no SIGTERM")
	}
}

// Git and nix use one file of CAs: the environment's, or the one of Trust.
func TestProgramsTrustTheNamedCertificates(t *testing.T) {
	t.Setenv("GIT_SSL_CAINFO", "/own.pem")
	t.Setenv("NIX_SSL_CERT_FILE", "")
	os.Unsetenv("NIX_SSL_CERT_FILE")
	if slices.ContainsFunc(Environment(), func(v string) bool { return strings.HasPrefix(v, "NIX_SSL_CERT_FILE=") }) {
		t.Error("a file is named before there is one")
	}
	Trust("/coop.pem")
	t.Cleanup(func() { Trust("") })
	for _, want := range []string{"GIT_SSL_CAINFO=/own.pem", "NIX_SSL_CERT_FILE=/coop.pem"} {
		if !slices.Contains(Environment(), want) {
			t.Errorf("no %s", want)
		}
	}
	if os.Getenv("NIX_SSL_CERT_FILE") != "" {
		t.Error("this process's own environment was changed")
	}
}
