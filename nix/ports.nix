# The ports of a component and the check of its health: each as a number or a path, or
# as a set that says more.
let
  inherit (builtins) attrNames concatMap concatStringsSep elem elemAt filter genList head
    isAttrs isInt length map mapAttrs toString;

  types = import ./types.nix;

  port = (import ./schema.nix).nixComponent.fields.ports.each.long;
  portOf = given: types.filled port (if isInt given then { port = given; } else given);
  all = c: mapAttrs (_: portOf) (c.ports or { });
  shown = p: "${toString p.port}/${p.protocol}";

  # What says how a component's health is found out.
  kinds = [ "path" "command" "tcp" "grpc" ];
  pairs = list: concatMap
    (i: map (n: { a = elemAt list i; b = elemAt list (i + 1 + n); }) (genList (n: n) (length list - i - 1)))
    (genList (i: i) (length list));

  portProblems = at: where: c:
    let ports = all c; in
    map ({ a, b }: "${types.placeOf c.ports b at}${where}: ports ${a} and ${b} are both ${shown ports.${a}}: keep one of them")
      (filter ({ a, b }: shown ports.${a} == shown ports.${b}) (pairs (attrNames ports)));

  healthProblems = at: where: c:
    let
      health = if isAttrs c.health then c.health else { path = c.health; };
      given = filter (kind: health ? ${kind}) kinds;
      ports = all c;
      named = filter (n: health ? ${n}) [ "port" "tcp" "grpc" ];
      wrong = n:
        if !(ports ? ${health.${n}})
        then [ "${n} is ${types.show health.${n}}, ${if ports == { } then "but there are no ports" else "expected one of the ports ${concatStringsSep ", " (attrNames ports)}"}" ]
        else if ports.${health.${n}}.protocol != "tcp"
        then [ "${n} is ${types.show health.${n}}, which is ${shown ports.${health.${n}}}: expected a port of tcp" ]
        else [ ];
    in
    if (c.health or null) == null then [ ]
    else map (problem: "${types.placeOf c "health" at}${where}: health: ${problem}")
      (if length given != 1 then [ "expected exactly one of ${concatStringsSep ", " kinds}" ]
      else if health ? command && (health.command == [ ] || head health.command == "") then [ "command is empty, expected a program and its arguments" ]
      else if health ? port && !(health ? path) then [ "port goes with path only: ${head given} ${if health ? command then "needs none" else "names its own"}" ]
      # Without ports here, upstream's are asked.
      else if health ? path && !(health ? port) && ports != { } && filter (n: ports.${n}.protocol == "tcp") (attrNames ports) == [ ]
      then [ "path is ${types.show health.path}, but no port is of tcp" ]
      else concatMap wrong named);
in
{
  # problems AT WHERE COMPONENT: what is wrong with ports and health whose types are right.
  problems = at: where: c: portProblems at where c ++ healthProblems at where c;

  # By name, as metadata has them: the numbers, and the protocols that are not tcp.
  numbers = c: mapAttrs (_: p: p.port) (all c);
  protocols = c:
    let ports = all c; in
    mapAttrs (_: p: p.protocol) (removeAttrs ports (filter (n: ports.${n}.protocol == "tcp") (attrNames ports)));

  # What an image exposes: numbers of tcp, and "443/udp" of others.
  exposed = c:
    let
      list = builtins.attrValues (all c);
      sorted = builtins.sort (a: b: a < b);
      other = sorted (map shown (filter (p: p.protocol != "tcp") list));
    in
    { ports = sorted (map (p: p.port) (filter (p: p.protocol == "tcp") list)); }
    // (if other == [ ] then { } else { otherPorts = other; });

  # The path that is asked by HTTP, null where health is found out otherwise.
  path = c: if isAttrs (c.health or null) then c.health.path or null else c.health or null;
  # All that is said of a check that is a set, its program by its place in the image.
  check = resolve: c:
    if !(isAttrs (c.health or null)) then null
    else c.health // (if c.health ? command then { command = resolve c.health.command; } else { });
}
