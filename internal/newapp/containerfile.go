package newapp

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// mostContainerfiles is how many are used without being asked for.
const mostContainerfiles = 12

// containerUse is a Containerfile to build.
type containerUse struct {
	name     string // of the component, "" for one after the file
	file     string
	context  string // "" to find it
	target   string
	services []service // that run from it, "" for one
}

// containerUses lists the Containerfiles to build: those of the Compose file, else all that
// are not for development.
func (f *Findings) containerUses(t *tree, services []service) []containerUse {
	var uses []containerUse
	for _, s := range services {
		use := containerUse{name: s.name, file: s.containerfile, context: s.context, target: s.target}
		if s.containerfile == "" || !t.has(s.containerfile) {
			continue
		}
		if forDevelopment().MatchString(use.target) {
			use.target = ""
		}
		at := slices.IndexFunc(uses, func(u containerUse) bool { return u.file == use.file && u.target == use.target })
		if at < 0 {
			at = len(uses)
			uses = append(uses, use)
		}
		uses[at].services = append(uses[at].services, s)
	}
	if len(uses) > 0 {
		return uses
	}
	for _, name := range t.find(containerfile.FileName()) {
		switch {
		case forDevelopment().MatchString(path.Base(name)):
		case len(uses) == mostContainerfiles:
			f.lookAt("there are more than %d Containerfiles, the others were left out", mostContainerfiles)
			return uses
		default:
			uses = append(uses, containerUse{file: name})
		}
	}
	return uses
}

// forDevelopment matches the names of files and stages for development.
var forDevelopment = lazyregexp.New(`(?i)(^|[._-])(dev|devel|development|test|tests|testing|ci|lint|debug|dockerignore|containerignore)([._-]|$)`)

// addContainerfile adds a component that is built from a Containerfile.
func (f *Findings) addContainerfile(t *tree, use containerUse) error {
	content := t.read(use.file)
	if content == nil {
		content, _ = readSmall(t.files, path.Clean(use.file)) // in a folder that is not looked at
	}
	if content == nil {
		return fmt.Errorf("%s: no such file in the source", use.file)
	}
	file, err := containerfile.Parse(use.file, content)
	if err != nil {
		return err
	}
	use.target = cmp.Or(use.target, f.chooseTarget(use.file, file))
	args, missing := f.arguments(file)
	built := containerfile.Use{Target: use.target, Args: args}
	config, err := file.Config(built)
	if err != nil {
		return err
	}
	context, guessed := use.context, false
	if context == "" {
		context, guessed = f.contextOf(t, use.file, file, built)
	}
	var a set
	a.add(use.file, "containerfile")
	a.addText(use.target, "target")
	switch {
	case guessed:
		a.addGuess("what the file copies is there", context, "context")
	case context != ".":
		a.add(context, "context")
	}
	for _, name := range missing {
		a.addGuess("the file has no default for it", args[name], "args", name)
	}
	f.addConfig(&a, &config.Config, text.Name(use.file))
	f.noteUser(config.Config.User, text.Name(use.file))
	addServices(&a, use)
	name := nameOf(cmp.Or(use.name, componentOf(use.file)), "web")
	f.addComponent(name, a)
	f.found("%s: %s", text.Name(use.file), stagesText(file))
	return nil
}

func stagesText(file *containerfile.File) string {
	if targets := file.Targets(); len(targets) > 0 {
		return "stages " + text.Enumerate(shown(targets), ", ", 12)
	}
	return "no named stages"
}

// componentOf returns the name of a Containerfile's component: the name of its folder, or
// the text after Dockerfile in its own name.
func componentOf(file string) string {
	base := strings.ToLower(path.Base(file))
	for _, kind := range []string{"containerfile", "dockerfile"} {
		if rest := strings.Trim(strings.ReplaceAll(base, kind, ""), "._-"); rest != base && rest != "" {
			return rest
		}
	}
	for folder := path.Dir(file); folder != "."; folder = path.Dir(folder) {
		if name := path.Base(folder); !slices.Contains([]string{"docker", "container", "build", "deploy", "images"}, strings.ToLower(name)) {
			return name
		}
	}
	return ""
}

// chooseTarget is the stage to build, "" for the last one: another one if the last is for
// development.
func (f *Findings) chooseTarget(name string, file *containerfile.File) string {
	targets := file.Targets()
	if len(targets) == 0 || !forDevelopment().MatchString(targets[len(targets)-1]) {
		return ""
	}
	for _, target := range slices.Backward(targets) {
		if production().MatchString(target) {
			f.guessed("%s: the stage %s, since the last one is %s", text.Name(name), text.Name(target), text.Name(targets[len(targets)-1]))
			return target
		}
	}
	return ""
}

var production = lazyregexp.New(`(?i)(^|[._-])(prod|production|runtime|release|final|runner)([._-]|$)`)

// arguments are the build arguments without a default, with a value: the version for one of
// that name, else "".
func (f *Findings) arguments(file *containerfile.File) (args map[string]string, missing []string) {
	args, known := map[string]string{}, map[string]bool{}
	for _, arg := range file.Args() {
		known[arg.Name] = known[arg.Name] || arg.Default != nil
	}
	for _, arg := range file.Args() {
		if _, seen := args[arg.Name]; seen || known[arg.Name] || containerfile.IsAutomatic(arg.Name) {
			continue
		}
		args[arg.Name] = ""
		if version().MatchString(arg.Name) {
			args[arg.Name] = f.version
		}
		missing = append(missing, arg.Name)
	}
	if len(missing) > 0 {
		f.lookAt("args of the build have no default: %s", text.Enumerate(shown(missing), ", ", 8))
	}
	return args, missing
}

var version = lazyregexp.New(`(?i)^(app_?|build_?|release_?)?version$`)

// contextOf returns the build context: the folder of the file or of the source, whichever
// has more of the files that are copied.
func (f *Findings) contextOf(t *tree, name string, file *containerfile.File, use containerfile.Use) (context string, guessed bool) {
	folder := path.Dir(name)
	sources, err := file.Sources(use)
	if folder == "." || err != nil {
		return ".", false
	}
	hits := func(context string) (n int) {
		for _, source := range sources {
			if source = path.Clean("/" + source)[1:]; source != "" && !strings.ContainsAny(source, "$*?[") && t.exists(path.Join(context, source)) {
				n++
			}
		}
		return n
	}
	if hits(".") > hits(folder) {
		return ".", false
	}
	return folder, true
}

// addConfig adds what an image's configuration says, and notes what operators need. Upstream
// has the rest already.
func (f *Findings) addConfig(a *set, config *v1.Config, where string) {
	ports := portsOf(config)
	for _, port := range ports {
		a.add(port.value(), "ports", port.name)
	}
	if len(ports) == 0 {
		f.lookAt("%s exposes no port: write ports.http", where)
	}
	if config.Healthcheck == nil {
		f.lookAt("%s has no health check: write health = \"/path\", if there is one", where)
	}
}

// noteUser names a user that Kubernetes' runAsNonRoot refuses.
func (f *Findings) noteUser(user, where string) {
	switch id, _, _ := strings.Cut(user, ":"); {
	case user == "" || id == "0" || id == "root":
		f.lookAt("%s runs as root, unless its base says otherwise: write user = \"1000\", if it can", where)
	case strings.Trim(id, "0123456789") != "":
		f.lookAt("%s runs as the user %s: write its number, user = \"…\"", where, text.Name(user))
	}
}

// port is an exposed port with a name.
type port struct {
	name, protocol string
	number         int
}

func (p port) value() any {
	if p.protocol == "tcp" {
		return p.number
	}
	return set{{path: []string{"port"}, value: p.number}, {path: []string{"protocol"}, value: p.protocol}}
}

// portsOf are the ports of a configuration: http for the only one, else by number.
func portsOf(config *v1.Config) []port {
	var ports []port
	for exposed := range config.ExposedPorts {
		number, protocol, _ := strings.Cut(exposed, "/")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > 65535 || !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
			continue
		}
		ports = append(ports, port{protocol + number, protocol, n})
	}
	slices.SortFunc(ports, func(a, b port) int { return cmp.Or(a.number-b.number, strings.Compare(a.protocol, b.protocol)) })
	if len(ports) == 1 && ports[0].protocol == "tcp" {
		ports[0].name = "http"
	}
	return ports
}

// addContainerConfig adds to the last component, which Nix builds, what the Containerfile at
// the top of the source says of the same program.
func (f *Findings) addContainerConfig(t *tree, program string) {
	for _, name := range t.find(containerfile.FileName()) {
		if path.Dir(name) != "." || forDevelopment().MatchString(name) {
			continue
		}
		file, err := containerfile.Parse(name, t.read(name))
		if err != nil {
			continue
		}
		args, _ := f.arguments(file)
		config, err := file.Config(containerfile.Use{Args: args})
		if err != nil {
			continue
		}
		a := &f.components[len(f.components)-1].attributes
		f.guessed("ports, volumes and arguments are those of %s", text.Name(name))
		f.addConfig(a, &config.Config, text.Name(name))
		addRun(a, &config.Config, program)
		return
	}
	f.lookAt("nothing says on which port it listens: write ports.http, and health")
}

// addRun adds the arguments of a program and its volumes, as an image has them.
func addRun(a *set, config *v1.Config, program string) {
	command := slices.Concat(config.Entrypoint, config.Cmd)
	if len(command) > 1 && path.Base(command[0]) == program {
		a.addGuess("those of the Containerfile", command[1:], "command")
	}
	var volumes []string
	for volume := range config.Volumes {
		if path.IsAbs(volume) {
			volumes = append(volumes, path.Clean(volume))
		}
	}
	if slices.Sort(volumes); len(volumes) > 0 {
		a.add(volumes, "volumes")
	}
}

// addServices adds the services of an image that runs in several ways.
func addServices(a *set, use containerUse) {
	if len(use.services) < 2 {
		return
	}
	var all set
	for _, s := range use.services {
		if len(s.command) > 0 {
			all.add(s.command, nameOf(s.name, "web"), "command")
		} else {
			all.add(set{}, nameOf(s.name, "web"))
		}
	}
	a.addGuess("those of the Compose file", all, "services")
}
