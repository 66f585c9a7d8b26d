package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/web"
)

// A question asks for one choice of libre init. An empty answer chooses the default.
type question struct {
	flag        string
	text, usual string
	set         func(o *initOptions, answer string)
}

// askInit asks for choices that no flag makes. machine is the system of this machine.
func (e *env) askInit(ctx context.Context, o *initOptions, given func(flag string) bool, machine string) error {
	folder, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	set := o.packageSet
	if set == "" {
		set = nix.Nixpkgs
	}
	for _, q := range []question{
		{"name", "name of the catalogue", filepath.Base(folder), func(o *initOptions, answer string) { o.name = answer }},
		{"registry", "registry of the images, or none", withNone, func(o *initOptions, answer string) { o.registry = unlessNone(answer) }},
		{"system", "systems, x86_64-linux and aarch64-linux", machine, func(o *initOptions, answer string) {
			o.systems = strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ' ' })
		}},
		{"package-set", "packages from nixpkgs, or host, which is this machine", set, func(o *initOptions, answer string) { o.packageSet = answer }},
		{"ci", "workflows for github, forgejo, gitlab, or none", withNone, func(o *initOptions, answer string) { o.forge = unlessNone(answer) }},
		{"app", "first app: its repository, examples or none", withExamples, func(o *initOptions, answer string) { o.app = answer }},
	} {
		if given(q.flag) {
			continue
		}
		if err := e.askOne(ctx, o, q); err != nil {
			return err
		}
	}
	return nil
}

// askOne asks until the answer is valid.
func (e *env) askOne(ctx context.Context, o *initOptions, q question) error {
	for {
		answer, err := askLine(ctx, fmt.Sprintf("%s [%s]: ", q.text, q.usual), readLine)
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(os.Stderr)
			return usageError{errors.New("a question was not answered, so nothing was written; see libre init --help for the flags")}
		}
		if err != nil {
			return err
		}
		if answer = strings.TrimSpace(answer); answer == "" {
			answer = q.usual
		}
		chosen := *o
		q.set(&chosen, answer)
		if err := chosen.check(); err != nil {
			e.Errorf("%s", strings.TrimPrefix(err.Error(), "--"))
			continue
		}
		*o = chosen
		return nil
	}
}

func unlessNone(answer string) string {
	if answer == withNone {
		return ""
	}
	return answer
}

// nixpkgsIsInReach reports whether the server of nixpkgs answers.
func nixpkgsIsInReach(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://github.com", nil)
	if err != nil {
		return false
	}
	response, err := web.NewTransport(web.Options{}).RoundTrip(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return true
}
