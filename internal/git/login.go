package git

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
)

// Setting is one setting of git, such as url.BASE.insteadOf.
type Setting struct{ Key, Value string }

// Settings returns the variables that pass settings to git, after those that the
// environment passes already.
// https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT
func Settings(settings ...Setting) []string {
	count, _ := strconv.Atoi(os.Getenv("GIT_CONFIG_COUNT"))
	environment := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", count+len(settings))}
	for i, setting := range settings {
		environment = append(environment, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", count+i, setting.Key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", count+i, setting.Value))
	}
	return environment
}

// Login returns the variables that let git log in to a server, if git has no login of
// its own. It adds a credential helper after the configured ones; git uses it only
// when its other credentials fail, such as the header that actions/checkout sets. The
// secret is in the environment, not in an argument or a file.
// https://git-scm.com/docs/gitcredentials#_custom_helpers
func Login(place *url.URL, user, secret string) []string {
	return append(Settings(Setting{
		fmt.Sprintf("credential.%s://%s.helper", place.Scheme, place.Host),
		// echo is a shell builtin, so the secret is in no list of processes.
		`!libre() { test "$1" = get && echo "username=$LIBRE_GIT_USER" && echo "password=$LIBRE_GIT_TOKEN"; }; libre`,
	}), "LIBRE_GIT_USER="+user, "LIBRE_GIT_TOKEN="+secret)
}
