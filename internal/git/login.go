package git

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
)

// Setting is one setting of git, such as url.BASE.insteadOf.
type Setting struct{ Key, Value string }

// Settings gives settings by variables, beside those that the environment gives so.
// https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT
func Settings(settings ...Setting) []string {
	count, _ := strconv.Atoi(os.Getenv("GIT_CONFIG_COUNT"))
	environment := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", count+len(settings))}
	for i, setting := range settings {
		environment = append(environment, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", count+i, setting.Key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", count+i, setting.Value))
	}
	return environment
}

// Login lets git log in at a place, where it has no login of its own: a credential
// helper comes last, behind those that are configured, and is asked only where what git
// sends by itself (as actions/checkout leaves it) does not do. The secret is in the
// environment: neither in an argument nor in a file.
// https://git-scm.com/docs/gitcredentials#_custom_helpers
func Login(place *url.URL, user, secret string) []string {
	return append(Settings(Setting{
		fmt.Sprintf("credential.%s://%s.helper", place.Scheme, place.Host),
		// echo is built into every shell: it shows in no list of processes.
		`!libre() { test "$1" = get && echo "username=$LIBRE_GIT_USER" && echo "password=$LIBRE_GIT_TOKEN"; }; libre`,
	}), "LIBRE_GIT_USER="+user, "LIBRE_GIT_TOKEN="+secret)
}
