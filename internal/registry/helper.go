package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/docker/cli/cli/config/types"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// helperPatience is the timeout of a credential helper: some ask a person.
const helperPatience = 30 * time.Second

// knowsNone matches what helpers print if they have no login to a registry: in the words
// of the protocol, or of the keychains of macOS, Windows and others.
var knowsNone = lazyregexp.New(`(?i)credentials? not found|could not be found in the keychain|element not found|no matching (?:credential|item)|not found in (?:the )?(?:keychain|keyring)`)

// askHelper gets the login to a registry from docker-credential-NAME. If the helper has no
// login, the login is empty, without an error. Output before the helper's JSON is skipped.
// Errors never contain output that may be a login. The helper gets the whole environment, which
// it may need to find its service.
// https://github.com/docker/docker-credential-helpers#development
func askHelper(helper, registry string) (types.AuthConfig, error) {
	program := "docker-credential-" + helper
	ctx, cancel := context.WithTimeout(context.Background(), helperPatience)
	defer cancel()
	command := exec.CommandContext(ctx, program, "get")
	command.Stdin = strings.NewReader(registry)
	command.WaitDelay = time.Second
	var out, stderr bytes.Buffer
	command.Stdout, command.Stderr = &out, &stderr
	err := command.Run()
	printed := out.String()
	switch {
	case ctx.Err() != nil:
		return types.AuthConfig{}, fmt.Errorf("%s does not answer within %s", program, helperPatience)
	case errors.Is(err, exec.ErrNotFound):
		return types.AuthConfig{}, fmt.Errorf("%s is not installed", program)
	case err != nil && knowsNone().MatchString(printed+stderr.String()):
		return types.AuthConfig{}, nil
	case err != nil:
		why := stderr.String()
		if !strings.Contains(printed, "{") { // helpers print their error, and nothing else, on stdout
			why = printed + " " + why
		}
		return types.AuthConfig{}, fmt.Errorf("%s fails: %s", program, strings.TrimSpace(text.Short(why, 200)+" ("+err.Error()+")"))
	case strings.TrimSpace(printed) == "":
		return types.AuthConfig{}, fmt.Errorf("%s prints nothing", program)
	}
	return readHelper(program, printed)
}

// readHelper finds the login in a helper's output.
func readHelper(program, printed string) (types.AuthConfig, error) {
	for rest := printed; ; rest = rest[1:] {
		begin := strings.Index(rest, "{")
		if begin < 0 {
			return types.AuthConfig{}, fmt.Errorf("%s prints no login", program)
		}
		rest = rest[begin:]
		var login struct {
			Username string
			Secret   string
		}
		if json.NewDecoder(strings.NewReader(rest)).Decode(&login) != nil {
			continue // noise
		}
		switch {
		case login.Username == "" && login.Secret == "":
			return types.AuthConfig{}, nil
		case login.Username == "<token>":
			return types.AuthConfig{IdentityToken: login.Secret}, nil
		}
		return types.AuthConfig{Username: login.Username, Password: login.Secret}, nil
	}
}
