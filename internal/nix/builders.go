package nix

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
)

// remoteBuilds collects what Nix reports of remote builders (builders in nix.conf).
type remoteBuilds struct {
	unreachable []*unreachable
	refused     map[string]refusal // by derivation
	without     map[string]bool    // systems that no builder builds for
	malformed   string             // why Nix cannot read the list of builders
	ssh         string             // what ssh printed last
}

type unreachable struct {
	builder, reason string
	told            bool
}

// refusal is the failure of a derivation on a remote builder.
type refusal struct{ builder, reason string }

var (
	cannotBuildOn = lazyregexp.New(`^cannot build on '([^'\n]+)': (?:error: )?(.*)`)
	failedOn      = lazyregexp.New(`(?s)^build of '(/[^'\n]+\.drv)' on '([^'\n]+)' failed: (?:error: )?(.*)`)
	noneForIt     = lazyregexp.New(`^Failed to find a machine for remote build!(?s:.*)\nrequired \(system, features\): \(([^,\n]*),`)
	badMachines   = lazyregexp.New(`^bad machine specification: (.*)`)
	connecting    = lazyregexp.New(`^(?:cannot connect to '[^']*'|cannot open connection to remote store '[^']*'|failed to start SSH connection to '[^']*'|writing to file: Broken pipe): (?:error: )?`)
	sshLine       = lazyregexp.New(`^ssh: |^Host key verification failed|: Permission denied \(`)
	sshPrefix     = lazyregexp.New(`^(?:ssh: |[^ ]+@[^ ]+: )`)
)

// read records a message about remote builders, and reports whether it is one.
func (r *remoteBuilds) read(event LogEvent) bool {
	if found := cannotBuildOn().FindStringSubmatch(event.Text); found != nil {
		r.add(&unreachable{builder: found[1], reason: r.reason(found[2])})
		return true
	}
	if found := failedOn().FindStringSubmatch(event.Text); found != nil {
		r.refuse(found[1], refusal{found[2], strings.TrimSpace(found[3])})
		return true
	}
	if found := badMachines().FindStringSubmatch(event.Text); found != nil {
		r.malformed = found[1]
		return true
	}
	if found := noneForIt().FindStringSubmatch(event.Text); found != nil {
		if r.without == nil {
			r.without = map[string]bool{}
		}
		r.without[found[1]] = true
		return true
	}
	if sshLine().MatchString(event.Text) {
		r.ssh = firstLine(event.Text)
		return true
	}
	return false
}

// refuse records that a derivation failed on a remote builder.
func (r *remoteBuilds) refuse(drv string, why refusal) {
	if r.refused == nil {
		r.refused = map[string]refusal{}
	}
	r.refused[drv] = why
}

// add records an unreachable builder once: Nix tries it again for each derivation.
func (r *remoteBuilds) add(u *unreachable) {
	for _, known := range r.unreachable {
		if known.builder == u.builder {
			return
		}
	}
	r.unreachable = append(r.unreachable, u)
}

// reason returns why there is no connection. If Nix only says that the connection ended, it
// returns ssh's message.
func (r *remoteBuilds) reason(said string) string {
	said = connecting().ReplaceAllString(said, "")
	if r.ssh != "" && !sshLine().MatchString(said) {
		said = r.ssh
	}
	return strings.TrimSuffix(sshPrefix().ReplaceAllString(said, ""), ".")
}

func (u *unreachable) String() string {
	doing := "try"
	if strings.Contains(strings.ToLower(u.reason), "host key") {
		doing = "accept its key with"
	}
	return fmt.Sprintf("cannot build on %s: %s: %s ssh %s, as the user that runs Nix's builds", u.builder, u.reason, doing, login(u.builder))
}

// login returns the arguments of ssh for a builder's address.
func login(address string) string {
	place, err := url.Parse(address)
	if err != nil || place.Host == "" {
		return address
	}
	arguments := strings.TrimPrefix(place.User.String()+"@"+place.Hostname(), "@")
	if place.Port() != "" {
		arguments = "-p " + place.Port() + " " + arguments
	}
	return arguments
}

// otherSystem explains that a derivation needs a builder with another system, or with other
// features. It returns false if the message is about something else.
func (r *remoteBuilds) otherSystem(drv, message string) (string, bool) {
	required, current := requiredSystem().FindStringSubmatch(message), currentSystem().FindStringSubmatch(message)
	if required == nil || current == nil {
		return "", false
	}
	refused, byOther := r.refused[drv]
	switch {
	case byOther:
		return fmt.Sprintf("the builder %s is %s, and does not build for %s: correct what --builders, or builders in nix.conf, says of it",
			refused.builder, current[1], required[1]), true
	case required[1] == current[1]:
		return strings.Join(strings.Fields(message), " ") + ": add a machine with these features with --builders", true
	case len(r.unreachable) > 0:
		r.unreachable[0].told = true
		return fmt.Sprintf("it must be built on %s, and Nix %s", required[1], r.unreachable[0]), true
	case r.without[required[1]]:
		return fmt.Sprintf("it must be built on %s, but this machine is %s, and no builder is for it: correct --builders, or set crossFrom = %q in the definition",
			required[1], current[1], current[1]), true
	}
	return fmt.Sprintf("it must be built on %s, but this machine is %s: add a builder with --builders, or set crossFrom = %q in the definition",
		required[1], current[1], current[1]), true
}

// Nix up to 2.29 uses the first form, later versions the second.
var (
	requiredSystem = lazyregexp.New(`(?:^a |Required system: )'([^']+)'`)
	currentSystem  = lazyregexp.New(`(?:I am a |Current system: )'([^']+)'`)
)

// fault returns an error if Nix cannot read the list of builders, and nil otherwise.
func (r *remoteBuilds) fault(doing string) error {
	if r.malformed == "" {
		return nil
	}
	return &fault.Fault{Doing: doing, Err: errors.New("nix cannot read the list of builders: " + r.malformed),
		Fix: "write each as URL SYSTEM [KEY [JOBS]], such as --builders 'ssh://nix@arm.example aarch64-linux'"}
}

// warnOfBuilders warns of the unreachable builders that no error of a derivation names: other
// builders replace them.
func (w *watcher) warnOfBuilders() {
	for _, u := range w.remote.unreachable {
		if !u.told {
			w.nix.warn(u.String())
		}
		u.told = true
	}
}
