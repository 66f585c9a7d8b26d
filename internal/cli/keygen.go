package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/libresh/libre/internal/sign"
)

type keygenOptions struct {
	output string
	json   bool
}

func (e *env) keygenCommand() *cobra.Command {
	var o keygenOptions
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key pair for signing",
		Long: `Make a key pair as cosign does: NAME.key, encrypted with a password, and
NAME.pub. libre takes the password from COSIGN_PASSWORD, or asks for it on a
terminal. It never replaces a file. git ignores cosign.key in a new catalogue.

Set the key in libre.yaml:

  sign:
    key: cosign.key`,
		Example: "  libre keygen\n  libre keygen --output lasuite",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, args []string) error { return e.runKeygen(o) },
	}
	cmd.Flags().StringVar(&o.output, "output", "cosign", "write `NAME`.key and NAME.pub")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (e *env) runKeygen(o keygenOptions) error {
	if err := sign.Keygen(o.output, askPassword()); err != nil {
		return err
	}
	e.Notef("made %s.key, which is secret, and %s.pub, which verifies signatures", o.output, o.output)
	if o.json {
		return e.JSON(keygenJSON{o.output + ".key", o.output + ".pub"})
	}
	return nil
}

// keygenJSON is the result of `keygen --json`.
type keygenJSON struct {
	PrivateKey string `json:"privateKey"` // file
	PublicKey  string `json:"publicKey"`  // file
}

// askPassword asks on a terminal, twice for a new password. It returns nil if there is no
// terminal.
func askPassword() sign.PasswordFunc {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	ask := func(prompt string) ([]byte, error) {
		fmt.Fprint(os.Stderr, prompt)
		defer fmt.Fprintln(os.Stderr)
		return term.ReadPassword(int(os.Stdin.Fd()))
	}
	return func(confirm bool) ([]byte, error) {
		password, err := ask("password of the signing key: ")
		if err != nil || !confirm {
			return password, err
		}
		again, err := ask("repeat the password: ")
		if err == nil && !bytes.Equal(password, again) {
			err = errors.New("the passwords differ")
		}
		return password, err
	}
}
