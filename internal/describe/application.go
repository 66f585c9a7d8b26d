// Package describe has the application document, which describes what an application consists
// of, what it needs, and how to run it. Operators, Kubernetes and people read it. The package
// does no input or output.
package describe

// The apiVersion and kind of the document.
const (
	APIVersion = "libre.sh/v1alpha1"
	Kind       = "Application"
)

// Application is the document: one app and variant, in one release.
type Application struct {
	APIVersion string   `json:"apiVersion" jsonschema:"enum=libre.sh/v1alpha1"`
	Kind       string   `json:"kind" jsonschema:"enum=Application"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata names the application.
type Metadata struct {
	// The app's name in its catalogue.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]+([._-][a-z0-9]+)*$"`
}

// Spec describes the application.
type Spec struct {
	// Upstream's version. A new one may need a migration. publiccode.yml says softwareVersion.
	Version string `json:"version"`
	// The revision of the images of this version.
	PackageVersion int `json:"packageVersion" jsonschema:"minimum=1"`
	// The variant, or default.
	Variant string `json:"variant"`
	// REGISTRY[/NAMESPACE] of the images, in a published release.
	Registry string `json:"registry,omitempty"`
	// One line about the app. publiccode.yml says shortDescription, the OCI annotations description.
	Description string `json:"description,omitempty"`
	// URL of the app's home page. publiccode.yml says landingURL, the OCI annotations url.
	Homepage string `json:"homepage,omitempty"`
	// SPDX expression. publiccode.yml says legal.license, the OCI annotations licenses.
	License string `json:"license,omitempty"`
	// URL of upstream's changelog. publiccode.yml says releaseNotes for the notes of one release.
	Changelog string `json:"changelog,omitempty"`
	// URL of the source's repository. publiccode.yml says url, YunoHost code.
	Source string `json:"source,omitempty"`
	// The tag, commit or module version in the repository.
	Revision string `json:"revision,omitempty"`

	// The images, by name. Score says containers.
	Components map[string]Component `json:"components"`
	// The services of others that the app depends on, by name. Score and YunoHost say resources.
	Needs map[string]Need `json:"needs,omitempty"`
	// The settings, by environment variable, beside those of needs.
	Config map[string]Setting `json:"config,omitempty"`
	// The paths that take requests from outside, by the start of a request's path. The longest one
	// wins. It matches whole segments: /api matches /api/v1, but not /apis.
	Routes map[string]Route `json:"routes,omitempty"`
	// What an upgrade does to the data.
	Migration *Migration `json:"migration,omitempty"`
	// What to back up.
	Backup *Backup `json:"backup,omitempty"`
}

// Component is a part of the app that has an image of its own.
type Component struct {
	// The image, if the catalogue names one: always in a published release.
	Image *Image `json:"image,omitempty"`
	// One line about the component.
	Description string `json:"description,omitempty"`
	// SPDX expression, if it is not the app's.
	License string `json:"license,omitempty"`
	// The numeric user, UID or UID:GID. Without it the image decides.
	User string `json:"user,omitempty"`
	// The ports that it listens on, by name.
	Ports map[string]Port `json:"ports,omitempty"`
	// Folders whose content may have to be kept. A need of kind volume keeps the content of a
	// folder, and sets its size. Without one the content is lost with the container.
	Volumes []string `json:"volumes,omitempty"`
	// Folders that the program writes to, and whose content may be lost. All other folders can be
	// read-only.
	Writable []string `json:"writable,omitempty"`
	// How to check that it is ready for requests.
	Health *Health `json:"health,omitempty"`
	// The ways to run it, by name, unique in the app. A component without services is not run: others are built on its image.
	Services map[string]Service `json:"services,omitempty"`
}

// Image names an image.
type Image struct {
	// NAME:TAG, without the registry.
	Reference string `json:"reference"`
	// Digest of the image's index, in a published release.
	Digest string `json:"digest,omitempty" jsonschema:"pattern=^sha256:[0-9a-f]{64}$"`
	// Digest of the manifest, by platform (os/architecture).
	Platforms map[string]string `json:"platforms,omitempty"`
}

// Port is a port that a component listens on.
type Port struct {
	// The number.
	Port int `json:"port" jsonschema:"minimum=1,maximum=65535"`
	// The protocol.
	Protocol string `json:"protocol" jsonschema:"enum=tcp,enum=udp,enum=sctp"`
	// Who can reach it other than through routes: public, the internet; internal, the app's other
	// components.
	Access string `json:"access" jsonschema:"enum=public,enum=internal"`
}

// Health is a check. Exactly one of path, command, tcp and grpc is set. The runtime chooses the
// numbers that are not set.
type Health struct {
	// Path of a URL that returns 200.
	Path string `json:"path,omitempty"`
	// Name of the port for path, if there are several.
	Port string `json:"port,omitempty"`
	// A program in the container that exits with 0.
	Command []string `json:"command,omitempty"`
	// Name of a port that accepts connections.
	TCP string `json:"tcp,omitempty"`
	// Name of a port that serves grpc.health.v1.
	GRPC string `json:"grpc,omitempty"`
	// Seconds between checks.
	Interval int `json:"interval,omitempty"`
	// Seconds that a check may take.
	Timeout int `json:"timeout,omitempty"`
	// Seconds after the start during which failures do not count: the start-up grace.
	StartPeriod int `json:"startPeriod,omitempty"`
	// Number of consecutive failures after which the check fails.
	Retries int `json:"retries,omitempty"`
}

// Service is one way to run a component's image.
type Service struct {
	// Arguments after the image's entrypoint, in place of its own. Score says args.
	Command []string `json:"command,omitempty"`
	// Makes it a job: before-upgrade runs once before each new app version, also before the first;
	// first-install once, when the app is first installed; scheduled by schedule.
	Job string `json:"job,omitempty" jsonschema:"enum=before-upgrade,enum=first-install,enum=scheduled"`
	// When a scheduled job runs, as five fields of cron, in UTC.
	Schedule string `json:"schedule,omitempty"`
	// Runs only on request.
	Optional bool `json:"optional,omitempty"`
	// One line about the service.
	Description string `json:"description,omitempty"`
	// Names of the component's ports that it listens on.
	Ports []string `json:"ports,omitempty"`
	// How to check that it is ready for requests.
	Health *Health `json:"health,omitempty"`
	// How to check that it runs. If the check fails, the service is started again. Without it,
	// health is used.
	Liveness *Health `json:"liveness,omitempty"`
	// Number of replicas at the start.
	Replicas int `json:"replicas,omitempty" jsonschema:"minimum=1"`
	// Largest number of replicas. 1 also means that the old replica ends before a new one starts.
	MaxReplicas int `json:"maxReplicas,omitempty" jsonschema:"minimum=1"`
	// The resources that it uses, in Kubernetes' words and units.
	Resources *Resources `json:"resources,omitempty"`
	// Settings of this service alone, by environment variable.
	Config map[string]Setting `json:"config,omitempty"`
}

// Resources are what a service uses.
type Resources struct {
	// The amounts that it gets at least.
	Requests *Amounts `json:"requests,omitempty"`
	// The amounts that it gets at most.
	Limits *Amounts `json:"limits,omitempty"`
}

// Amounts are amounts of resources, as Kubernetes' quantities.
type Amounts struct {
	// Such as 250m, a quarter of a core.
	CPU string `json:"cpu,omitempty"`
	// Such as 512Mi.
	Memory string `json:"memory,omitempty"`
}

// Need is a service of others, or a folder, that the app depends on.
type Need struct {
	// The kind of service or folder. Score says s3 for bucket; YunoHost says database for postgres
	// and mysql, data_dir for volume.
	Kind string `json:"kind" jsonschema:"enum=postgres,enum=mysql,enum=redis,enum=bucket,enum=oidc,enum=smtp,enum=search,enum=livekit,enum=llm,enum=http,enum=volume,enum=app"`
	// Whether the app works without it.
	Optional bool `json:"optional,omitempty"`
	// What it is for.
	Description string `json:"description,omitempty"`
	// The components that use it. If none are listed, all do.
	Components []string `json:"components,omitempty"`
	// The environment variables through which components get it. The values are templates of the
	// need's parts.
	Env map[string]Variable `json:"env,omitempty"`

	// postgres, mysql, redis, search: the server's versions that work, such as ">=14, <18".
	Version string `json:"version,omitempty"`
	// postgres: the extensions that must exist, or that the role may create.
	Extensions []string `json:"extensions,omitempty"`
	// bucket: whether objects must have versions.
	Versioning bool `json:"versioning,omitempty"`
	// oidc: the path of the redirect URI.
	Callback string `json:"callback,omitempty"`
	// oidc: the path of the post-logout redirect URI.
	PostLogout string `json:"postLogout,omitempty"`
	// oidc: the scopes that the app asks for.
	Scopes []string `json:"scopes,omitempty"`
	// volume: the folder in the components, one of their volumes.
	Path string `json:"path,omitempty"`
	// volume: its size to start with, as a quantity of Kubernetes, such as 10Gi.
	Size string `json:"size,omitempty"`
	// volume: who may use it at once, in Kubernetes' words.
	Access string `json:"access,omitempty" jsonschema:"enum=ReadWriteOnce,enum=ReadWriteMany,enum=ReadOnlyMany"`
	// app: another app of the catalogue.
	App string `json:"app,omitempty"`
	// app: one of its components.
	Component string `json:"component,omitempty"`
	// app: one of the component's ports.
	Port string `json:"port,omitempty"`
}

// Variable is the value of an environment variable.
type Variable struct {
	// The value, with $(PART) for a part of the need, such as $(host) or $(password). $$( is a literal $(.
	Value string `json:"value"`
	// The environment variable with the path of a file that contains the value, such as
	// DB_PASSWORD_FILE.
	File string `json:"file,omitempty"`
	// Whether the value has a secret part.
	Secret bool `json:"secret,omitempty"`
	// The components that get it, if not all that use the need.
	Components []string `json:"components,omitempty"`
}

// Setting is a setting of the program.
type Setting struct {
	// What it is for. publiccode.yml and YunoHost have the same word.
	Description string `json:"description,omitempty"`
	// The type of the value. A file is the path of a file that the operator mounts.
	Type string `json:"type" jsonschema:"enum=string,enum=integer,enum=number,enum=boolean,enum=url,enum=email,enum=json,enum=duration,enum=file"`
	// The value that the program uses if the setting is not set.
	Default string `json:"default,omitempty"`
	// The value to run with unless the operator sets another, with $(host), the app's host name, $(url), the app's address, and $(service.NAME.PORT), HOST:PORT of a service. $$( is a literal $(.
	Value string `json:"value,omitempty"`
	// Whether the operator must set it.
	Required bool `json:"required,omitempty"`
	// Whether it is a secret. It has no value in the catalogue.
	Secret bool `json:"secret,omitempty"`
	// Whether the value can be any random text. It must then be kept.
	Generate bool `json:"generate,omitempty"`
	// The environment variable with the path of a file that contains the value.
	File string `json:"file,omitempty"`
	// An example.
	Example string `json:"example,omitempty"`
	// The values that it may have.
	Values []string `json:"values,omitempty"`
	// The components that get it. If none are listed, all do.
	Components []string `json:"components,omitempty"`
}

// Route is the target of requests. Exactly one of service and bucket is set.
type Route struct {
	// The service.
	Service string `json:"service,omitempty"`
	// Name of the service's port, if it has several.
	Port string `json:"port,omitempty"`
	// A need of kind bucket: the rest of the path is an object's key.
	Bucket string `json:"bucket,omitempty"`
	// Removes the route's path before the request is passed on.
	StripPrefix bool `json:"stripPrefix,omitempty"`
	// Whether connections may become WebSockets.
	WebSocket bool `json:"webSocket,omitempty"`
	// The largest body of a request, as a quantity of Kubernetes, such as 10Mi; 0 is no limit.
	MaxBodySize string `json:"maxBodySize,omitempty"`
	// Seconds that a request, or an idle WebSocket, may take.
	Timeout int `json:"timeout,omitempty"`
	// Sends requests that belong together to the same replica.
	Sticky *Sticky `json:"sticky,omitempty"`
	// Asks a service first whether the request may pass.
	Authorize *Authorize `json:"authorize,omitempty"`
	// Headers of the answer.
	ResponseHeaders map[string]string `json:"responseHeaders,omitempty"`
}

// Sticky says which requests belong together. Exactly one of query and cookie is set.
type Sticky struct {
	// Those with the same value of this query argument.
	Query string `json:"query,omitempty"`
	// Those with the same value of this cookie.
	Cookie string `json:"cookie,omitempty"`
}

// Authorize is a sub-request: a GET before the request, which passes if the answer is 2xx.
type Authorize struct {
	// The service to ask.
	Service string `json:"service"`
	// Name of the service's port, if it has several.
	Port string `json:"port,omitempty"`
	// The path to ask for.
	Path string `json:"path"`
	// The header of the sub-request with the URL of the request.
	URLHeader string `json:"urlHeader,omitempty"`
	// The header of the sub-request with the method of the request.
	MethodHeader string `json:"methodHeader,omitempty"`
	// Headers of the answer that are added to the request.
	CopyHeaders []string `json:"copyHeaders,omitempty"`
}

// Migration is what an upgrade does to the data.
type Migration struct {
	// automatic, by the program or a job before-upgrade; manual, by the operator; or none.
	Kind string `json:"kind,omitempty" jsonschema:"enum=automatic,enum=manual,enum=none"`
	// The oldest app version that can be upgraded to this one.
	MinFrom string `json:"minFrom,omitempty"`
	// Whether the former version works with the migrated data.
	Reversible *bool `json:"reversible,omitempty"`
	// URL of upstream's upgrade notes.
	Notes string `json:"notes,omitempty"`
}

// Backup says what belongs to a backup.
type Backup struct {
	// Names of needs whose content must be saved at the same moment.
	Together []string `json:"together,omitempty"`
	// Names of needs in the order to restore them.
	RestoreOrder []string `json:"restoreOrder,omitempty"`
	// URL of upstream's notes.
	Notes string `json:"notes,omitempty"`
}
