package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/libresh/libre/internal/fault"
)

// forgeChecks ask the forges whether they take the tokens that bump would send. Without
// a token there is nothing to check.
func forgeChecks(ctx context.Context, p *place) []check {
	const name = "forge token"
	bumper, err := p.bumper()
	if err != nil {
		return []check{{name, "wrong", fault.Reason(err), cmp.Or(fault.Fix(err), "mend what it names: bump finds tokens and forges there"), err}}
	}
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	var checks []check
	for _, token := range bumper.Upstream.CheckTokens(ctx) {
		switch err := token.Err; {
		case err == nil:
			checks = append(checks, check{name, "ok", fmt.Sprintf("%s takes the token of %s", token.Server, token.From), "", nil})
		case fault.Is(err, fault.Credentials):
			checks = append(checks, check{name, "wrong", fault.Reason(err), fault.Fix(err), err})
		default:
			checks = append(checks, check{name, "note", fmt.Sprintf("whether %s takes the token of %s is not known: %s", token.Server, token.From, fault.Reason(err)), "mend the network or the proxy", nil})
		}
	}
	return checks
}
