package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/libresh/libre/internal/registry"
)

type loginOptions struct {
	registry      string
	username      string
	passwordStdin bool
	insecure      bool
	json          bool
}

func (e *env) loginCommand() *cobra.Command {
	var o loginOptions
	cmd := &cobra.Command{
		Use:   "login REGISTRY",
		Short: "Log in to a registry, for libre, docker and podman",
		Long: `Ask for a user name and a password, check them with the registry, and store
them where docker does: with the credential helper that docker's config file
names, or in that file. If there is only an auth file of podman, libre uses
that. REGISTRY_AUTH_FILE names another file.

If a registry has several ways to log in, use an access token as the password.`,
		Example: "  libre login registry.example\n  libre login ghcr.io --username octocat --password-stdin < token",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.registry = args[0]
			return e.runLogin(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.username, "username", "", "`NAME` of the user (default: ask)")
	flags.BoolVar(&o.passwordStdin, "password-stdin", false, "read the password from standard input")
	flags.BoolVar(&o.insecure, "insecure", false, "allow plain HTTP and untrusted certificates (always allowed on the loopback address)")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (e *env) runLogin(ctx context.Context, o loginOptions) error {
	options := registry.Options{Insecure: o.insecure, Notes: e.warn}
	if ws, err := e.workspace(); err == nil { // with its authorities
		options = ws.clientOptions(o.insecure)
	}
	login, err := registry.NewLogin(o.registry, options)
	if err != nil {
		return usageError{err}
	}
	username, password, err := o.ask(ctx)
	if err != nil {
		return err
	}
	stored, err := login.Store(ctx, username, password)
	if err != nil {
		return err
	}
	if !stored.Checked {
		e.Warnf("%s needs no login, so the password was not checked", o.registry)
	}
	if stored.Helper != "" {
		e.Notef("logged in to %s; the password is stored with %s", o.registry, stored.Helper)
	} else {
		e.Notef("logged in to %s; the password is stored in %s, unencrypted", o.registry, stored.File)
	}
	if o.json {
		return e.JSON(loginJSON{o.registry, username, stored.Checked, stored.Helper, stored.File})
	}
	return nil
}

// loginJSON is the result of `login --json`.
type loginJSON struct {
	Registry string `json:"registry"`         // HOST[:PORT]
	Username string `json:"username"`         // at the registry
	Checked  bool   `json:"checked"`          // false if the registry needs no login
	Helper   string `json:"helper,omitempty"` // the credential helper that stores the password; absent if the file does
	File     string `json:"file"`             // of docker or podman; it has the password, unencrypted, or names the helper
}

// ask gets the user name and the password from flags and stdin, or asks for them.
func (o loginOptions) ask(ctx context.Context) (username, password string, err error) {
	username = o.username
	if !o.passwordStdin && !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", "", usageError{errors.New("no terminal to ask for the password: use --username NAME --password-stdin")}
	}
	if o.passwordStdin {
		if username == "" {
			return "", "", usageError{errors.New("--password-stdin: give --username NAME too")}
		}
		const longest = 64 << 10
		read, err := io.ReadAll(io.LimitReader(os.Stdin, longest))
		if err != nil {
			return "", "", fmt.Errorf("reading the password: %w", err)
		}
		password = strings.TrimSuffix(strings.TrimSuffix(string(read), "\n"), "\r")
	} else {
		if username == "" {
			if username, err = askLine(ctx, "user name at "+o.registry+": ", readLine); err != nil {
				return "", "", err
			}
		}
		hidden := func(fd int) (string, error) {
			typed, err := term.ReadPassword(fd)
			fmt.Fprintln(os.Stderr)
			return string(typed), err
		}
		if password, err = askLine(ctx, "password: ", hidden); err != nil {
			return "", "", err
		}
	}
	switch {
	case username == "":
		err = usageError{errors.New("the user name is empty")}
	case strings.Contains(username, ":"):
		err = usageError{errors.New("the user name contains a colon, which is not allowed")}
	case password == "":
		err = usageError{errors.New("the password is empty")}
	}
	return username, password, err
}
