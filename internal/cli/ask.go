package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// canAsk reports whether somebody is there to answer questions.
func (e *env) canAsk() bool {
	return e.options.StderrTerminal && !e.options.Quiet && !e.options.JSON && term.IsTerminal(int(os.Stdin.Fd()))
}

// confirm asks a yes-or-no question on a terminal. Without a terminal it returns false.
func (e *env) confirm(ctx context.Context, question string) bool {
	if !e.canAsk() {
		return false
	}
	answer, err := askLine(ctx, question+"? [y/N] ", readLine)
	answer = strings.ToLower(strings.TrimSpace(answer))
	return err == nil && (answer == "y" || answer == "yes")
}

// askLine asks on the terminal. If ctx ends first, it restores the terminal's state.
func askLine(ctx context.Context, prompt string, read func(fd int) (string, error)) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type answer struct {
		line string
		err  error
	}
	typed := make(chan answer, 1)
	fmt.Fprint(os.Stderr, prompt)
	go func() {
		line, err := read(fd)
		typed <- answer{line, err}
	}()
	select {
	case got := <-typed:
		return got.line, got.err
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr)
		_ = term.Restore(fd, before)
		return "", ctx.Err()
	}
}

// readLine reads one line and nothing after it: the next line may be a password, which is
// read in another way.
func readLine(int) (string, error) {
	var line []byte
	for one := make([]byte, 1); ; {
		n, err := os.Stdin.Read(one)
		if err != nil || n == 1 && one[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), err
		}
		line = append(line, one[:n]...)
	}
}
