# What an app's definition says for the application document, with defaults: see
# internal/describe for its attributes.
app:
let
  inherit (builtins) attrNames head isAttrs mapAttrs match;

  ports = import ./ports.nix;
  paths = import ./paths.nix;
  rules = import ./rules.nix;
  kinds = import ./needs.nix;

  # Without attributes that are null or false: the document leaves them out.
  compact = set: removeAttrs set (builtins.filter (n: set.${n} == null || set.${n} == false) (attrNames set));

  need = name: value:
    let
      kind = value.kind or name;
      variable = v:
        let long = if isAttrs v then v else { value = v; }; in
        compact (long // { secret = builtins.any (p: kinds.parts.${kind}.${p}) (rules.placeholders long.value); });
    in
    compact (value // { inherit kind; env = mapAttrs (_: variable) (value.env or { }); }
      // (if kind == "volume" then { access = value.access or "ReadWriteOnce"; } else { }));

  setting = s: compact ({ type = "string"; } // s);

  health = resolve: h:
    if h == null then null
    else if !(isAttrs h) then { path = h; }
    else h // (if h ? command then { command = resolve h.command; } else { });

  component = name: given:
    let
      c = app.componentOf app name;
      resolve = paths.resolve c;
      own = service: !(service ? command || service ? job);
      service = s: compact (s // {
        ports = rules.portsOf c s;
        health = health resolve (s.health or (if own s then c.health or null else null));
        liveness = health resolve (s.liveness or null);
        config = mapAttrs (_: setting) (s.config or { });
        replicas = if s ? job then null else s.replicas or 1;
      });
      # A number without a group has the user's.
      user = match "([0-9]+)(:([0-9]+))?" (toString c.user);
      nixUser = if c ? user then "${head user}:${let gid = builtins.elemAt user 2; in if gid == null then head user else gid}" else "1000:1000";
    in
    compact {
      description = c.description or null;
      license = c.license or null;
      user = if app.componentKind given == "nix" then nixUser else if c ? user then toString c.user else null;
      ports = ports.all c;
      volumes = paths.volumes c;
      writable = c.writable or [ ];
      health = health resolve (c.health or null);
      services = mapAttrs (_: service) (rules.servicesOf name given);
    };
in
compact {
  needs = mapAttrs need app.needs;
  config = mapAttrs (_: setting) app.config;
  inherit (app) routes migration backup;
  components = mapAttrs component app.components;
}
