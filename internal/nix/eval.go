package nix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/git"
)

// Override overrides a flake input for one evaluation; Input may be a path such as
// "libre/nixpkgs".
type Override struct{ Input, Ref string }

// Flake is a flake in a folder, with overridden inputs.
type Flake struct {
	Dir       string
	Overrides []Override
	Mirrors   []Mirror // for git
	Offline   bool     // do not wait for the network
}

// Eval applies a Nix function to a flake output, and decodes the resulting JSON into
// result. It instantiates derivations: their files are in the store afterwards. It never
// writes the lock file. Results are cached.
func (n *Nix) Eval(ctx context.Context, flake Flake, output, apply string, result any) error {
	// nix looks for packages.SYSTEM.OUTPUT before OUTPUT, which would evaluate every
	// definition. The system "none" has no packages.
	eval := call{program: "nix", operation: []string{"eval"}, inputs: flake.Overrides, arguments: []string{".#" + output}}
	eval.flags = []string{"--show-trace", "--json", "--apply", apply, "--no-write-lock-file", "--option", "system", "none"}
	eval.flags = append(eval.flags, n.restrictions()...)
	if flake.Offline {
		eval.flags = append(eval.flags, "--option", "download-attempts", "1", "--option", "connect-timeout", "5")
	}
	cmd := n.command(ctx, eval)
	cmd.Dir = flake.Dir
	cmd.Env = append(cmd.Env, mirrorSettings(flake.Mirrors...)...)
	evaluation := n.evaluation(ctx, cmd)
	printed, known := n.loadOutcome(evaluation)
	if !known {
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		var readable []string
		for _, mirror := range flake.Mirrors {
			readable = append(readable, mirror.Dir)
		}
		var checkout *tracked
		if evaluation != nil {
			checkout = evaluation.flake
		}
		if err := n.runConfined(ctx, cmd, checkout, false, readable...); err != nil {
			return n.evaluationFailure(ctx, flake.Dir, err, log.String())
		}
		printed = out.Bytes()
		if err := n.checkUsed(ctx, flake, log.String()); err != nil {
			return err
		}
		n.warnings(log.String())
		n.saveOutcome(ctx, evaluation, flake, printed, log.String())
	}
	return decode("evaluating "+flake.Dir, printed, result)
}

// evaluationFailure explains the failure of an evaluation. Nix may report only the exit
// code of git; then it runs git again for the message.
func (n *Nix) evaluationFailure(ctx context.Context, dir string, err error, log string) error {
	doing := "evaluating " + dir
	failure := n.failure(ctx, doing, err, log)
	if gitFailed().MatchString(log) {
		// git status reads the settings, the index and the commit.
		if _, err := git.Output(ctx, dir, "status", "--porcelain", "--untracked-files=no"); err != nil && !errors.Is(err, git.ErrNoRepository) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	var known *Error
	if errors.As(failure, &known) && unwritable().MatchString(known.Message) {
		known.Message = notUTF8
	} else if explained := explain(dir, log); known != nil && explained.message != "" {
		known.Message, known.Fetch = explained.message, fetchError().MatchString(explained.message)
		if explained.outside {
			known.output = log
		}
	}
	return failure
}

// Quote writes a Nix string literal.
func Quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", `\${`).Replace(text) + `"`
}
