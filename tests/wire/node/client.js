"use strict";
// An independent OPC UA client driven by JSON lines: {"id", "op", ...} in, {"id", "result" | "error"} out.

const opcua = { ...require("node-opcua-client"), ...require("node-opcua-certificate-manager"), ...require("node-opcua-date-time") };
const readline = require("node:readline");
const { AttributeIds, DataType, Variant, VariantArrayType, TimestampsToReturn, StatusCodes } = opcua;

const clients = new Map(); // name -> {client, session, subscriptions, notifications}
const CERTIFICATE_FILE = process.argv[2];
const KEY_FILE = process.argv[3];
const APPLICATION_URI = process.argv[4];

function plain(value) {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return value.toString("base64");
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, plain);
  if (value instanceof opcua.NodeId) return value.toString();
  if (value instanceof opcua.Variant) return plain(value.value);
  if (value instanceof opcua.LocalizedText) return value.text;
  if (value instanceof opcua.QualifiedName) return value.toString();
  if (value instanceof opcua.StatusCode) return value.name;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "object") {
    return Object.fromEntries(
      Object.entries(value).filter(([k, v]) => !k.startsWith("_") && k !== "schema" && typeof v !== "function")
        .map(([k, v]) => [k, plain(v)]));
  }
  return value;
}

function wide(variant) {
  // 64-bit integers come as [high, low]
  const is64 = variant && (variant.dataType === DataType.Int64 || variant.dataType === DataType.UInt64);
  if (!is64 || variant.value === null) return plain(variant);
  const join = ([high, low]) => high * 4294967296 + low;
  return variant.arrayType === VariantArrayType.Array ? Array.from(variant.value, join) : join(variant.value);
}

function dataValue(dv) {
  return {
    value: wide(dv.value), type: dv.value ? DataType[dv.value.dataType] : null, status: dv.statusCode.name,
    sourceTimestamp: plain(dv.sourceTimestamp), serverTimestamp: plain(dv.serverTimestamp),
  };
}

async function variant(session, spec) {
  if (spec.type === "ExtensionObject") {
    const build = (fields) => (opcua[spec.dataType] ? new opcua[spec.dataType](fields)
      : session.constructExtensionObject(opcua.coerceNodeId(spec.dataType), fields));
    const value = spec.array ? await Promise.all(spec.value.map(build)) : await build(spec.value);
    return new Variant({
      dataType: DataType.ExtensionObject, value,
      arrayType: spec.array ? VariantArrayType.Array : VariantArrayType.Scalar,
    });
  }
  const value = spec.base64 ? Buffer.from(spec.value, "base64") : spec.value;
  return new Variant({
    dataType: DataType[spec.type], value,
    arrayType: spec.array ? VariantArrayType.Array : VariantArrayType.Scalar,
  });
}

const operations = {
  async connect({ name = "main", url, user, password, policy = "Basic256Sha256", mode = "SignAndEncrypt",
    certificate = CERTIFICATE_FILE, key = KEY_FILE, uri = APPLICATION_URI, retry = 0, timeoutMs = 60000 }) {
    const client = opcua.OPCUAClient.create({
      applicationName: "Foldline wire test", applicationUri: uri, certificateFile: certificate,
      privateKeyFile: key, endpointMustExist: false, securityMode: opcua.MessageSecurityMode[mode],
      securityPolicy: opcua.SecurityPolicy[policy], clientCertificateManager: manager,
      requestedSessionTimeout: timeoutMs, keepSessionAlive: false,
      connectionStrategy: { initialDelay: 100, maxDelay: 500, maxRetry: retry },
    });
    client.on("connection_reestablished", () => { entry.reconnects += 1; });
    const entry = { client, session: null, subscriptions: new Map(), items: new Map(), notifications: [], reconnects: 0 };
    clients.set(name, entry);
    await client.connect(url);
    const identity = user === undefined ? { type: opcua.UserTokenType.Anonymous }
      : { type: opcua.UserTokenType.UserName, userName: user, password };
    try {
      entry.session = await client.createSession(identity);
    } catch (error) {
      await client.disconnect();
      throw error;
    }
    return { timeoutMs: entry.session.timeout, namespaces: await entry.session.readNamespaceArray() };
  },
  async endpoints({ url }) {
    const client = opcua.OPCUAClient.create({
      endpointMustExist: false, clientCertificateManager: manager,
      connectionStrategy: { maxRetry: 0, initialDelay: 100 },
    });
    await client.connect(url);
    const found = await client.getEndpoints();
    await client.disconnect();
    return found.map((each) => ({
      policy: each.securityPolicyUri, mode: opcua.MessageSecurityMode[each.securityMode],
      tokens: each.userIdentityTokens.map((token) => opcua.UserTokenType[token.tokenType]),
      uri: each.server.applicationUri,
    }));
  },
  async disconnect({ name = "main" }) {
    const entry = clients.get(name);
    clients.delete(name);
    if (entry.session) await entry.session.close(true);
    await entry.client.disconnect();
    return null;
  },
  async read({ name = "main", nodes, attribute = "Value" }) {
    const items = nodes.map((nodeId) => ({ nodeId, attributeId: AttributeIds[attribute] }));
    return (await clients.get(name).session.read(items)).map(dataValue);
  },
  async write({ name = "main", node, attribute = "Value", value }) {
    const { session } = clients.get(name);
    const status = await session.write({
      nodeId: node, attributeId: AttributeIds[attribute], value: { value: await variant(session, value) },
    });
    return status.name;
  },
  async writeMany({ name = "main", items }) {
    const { session } = clients.get(name);
    const writes = await Promise.all(items.map(async (item) => ({
      nodeId: item.node, attributeId: AttributeIds.Value, value: { value: await variant(session, item.value) },
    })));
    return (await session.write(writes)).map((status) => status.name);
  },
  async call({ name = "main", object, method, inputs = [] }) {
    const { session } = clients.get(name);
    const result = await session.call({
      objectId: object, methodId: method,
      inputArguments: await Promise.all(inputs.map((spec) => variant(session, spec))),
    });
    return {
      status: result.statusCode.name, outputs: (result.outputArguments || []).map(wide),
      inputs: (result.inputArgumentResults || []).map((each) => each.name),
    };
  },
  async browseTree({ name = "main", root, max = 0, reference = "HierarchicalReferences" }) {
    const { session } = clients.get(name);
    session.requestedMaxReferencesPerNode = max;
    const seen = new Map([[opcua.resolveNodeId(root).toString(), ""]]);
    let level = [...seen.keys()];
    while (level.length) {
      const next = [];
      const width = max ? 5 : 100; // as many continuation points as the server keeps
      for (let at = 0; at < level.length; at += width) {
        const part = level.slice(at, at + width);
        const results = await session.browse(part.map((nodeId) => ({
          nodeId, referenceTypeId: reference, includeSubtypes: true, browseDirection: 0, resultMask: 63,
        })));
        for (const result of results) {
          if (!result.statusCode.isGood()) throw new Error(`browse: ${result.statusCode.name}`);
          let references = result.references || [];
          let point = result.continuationPoint;
          while (point && point.length) {
            const more = await session.browseNext(point, false);
            references = references.concat(more.references || []);
            point = more.continuationPoint;
          }
          for (const each of references) {
            const id = each.nodeId.toString();
            if (!seen.has(id)) { seen.set(id, each.browseName.toString()); next.push(id); }
          }
        }
      }
      level = next;
    }
    return Object.fromEntries(seen);
  },
  async browse({ name = "main", node, max = 0 }) {
    const { session } = clients.get(name);
    session.requestedMaxReferencesPerNode = max;
    const result = await session.browse({
      nodeId: node, referenceTypeId: "References", includeSubtypes: true, browseDirection: 0, resultMask: 63,
    });
    return {
      status: result.statusCode.name, point: plain(result.continuationPoint),
      references: (result.references || []).map((each) => ({
        name: each.browseName.toString(), node: each.nodeId.toString(), type: each.typeDefinition.toString(),
        reference: each.referenceTypeId.toString(),
      })),
    };
  },
  async translate({ name = "main", start, path }) {
    const { session } = clients.get(name);
    const result = await session.translateBrowsePath(opcua.makeBrowsePath(start, path));
    return { status: result.statusCode.name, targets: (result.targets || []).map((t) => t.targetId.toString()) };
  },
  async subscribe({ name = "main", key = "sub", nodes, intervalMs = 100, samplingMs = 100, queue = 1000, filter,
    lifetime = 600, keepAlive = 5, modes = [] }) {
    const entry = clients.get(name);
    const subscription = await entry.session.createSubscription2({
      requestedPublishingInterval: intervalMs, requestedLifetimeCount: lifetime,
      requestedMaxKeepAliveCount: keepAlive, maxNotificationsPerPublish: 0, publishingEnabled: true, priority: 1,
    });
    entry.subscriptions.set(key, subscription);
    const statuses = [];
    const items = [];
    entry.items.set(key, items);
    for (const [at, nodeId] of nodes.entries()) {
      const options = { samplingInterval: samplingMs, queueSize: queue, discardOldest: true };
      if (filter) options.filter = new opcua.DataChangeFilter(filter);
      const item = await subscription.monitor(
        { nodeId, attributeId: AttributeIds.Value }, options, TimestampsToReturn.Both,
        opcua.MonitoringMode[modes[at] ?? "Reporting"]);
      statuses.push(item.statusCode.name);
      items.push(item);
      item.on("changed", (dv) => entry.notifications.push({ key, node: nodeId, ...dataValue(dv) }));
    }
    return {
      id: subscription.subscriptionId, statuses, intervalMs: subscription.publishingInterval,
      lifetime: subscription.lifetimeCount, keepAlive: subscription.maxKeepAliveCount,
    };
  },
  async trigger({ name = "main", key = "sub", from, add = [], remove = [] }) {
    const entry = clients.get(name);
    const items = entry.items.get(key);
    const chosen = (numbers) => numbers.map((at) => items[at]);
    const answer = await entry.subscriptions.get(key).setTriggering(items[from], chosen(add), chosen(remove));
    return { added: plain(answer.addResults || []), removed: plain(answer.removeResults || []) };
  },
  async modifySubscription({ name = "main", key = "sub", intervalMs }) {
    const subscription = clients.get(name).subscriptions.get(key);
    const result = await subscription.modify({ requestedPublishingInterval: intervalMs });
    return { intervalMs: result.revisedPublishingInterval };
  },
  async subscribeEvents({ name = "main", key = "events", node, fields, intervalMs = 100, ofType }) {
    const entry = clients.get(name);
    const subscription = await entry.session.createSubscription2({
      requestedPublishingInterval: intervalMs, requestedLifetimeCount: 600, requestedMaxKeepAliveCount: 5,
      publishingEnabled: true, priority: 1,
    });
    entry.subscriptions.set(key, subscription);
    const where = ofType ? opcua.ofType(ofType) : undefined;
    const filter = opcua.constructEventFilter(fields, where);
    const item = await subscription.monitor(
      { nodeId: node, attributeId: AttributeIds.EventNotifier },
      { samplingInterval: 0, queueSize: 1000, discardOldest: true, filter }, TimestampsToReturn.Both);
    item.on("changed", (values) => entry.notifications.push({
      key, event: Object.fromEntries(fields.map((field, at) => [field, plain(values[at])])),
    }));
    return { id: subscription.subscriptionId, status: item.statusCode.name };
  },
  async notifications({ name = "main" }) {
    const entry = clients.get(name);
    return entry.notifications.splice(0);
  },
  async reconnects({ name = "main" }) { return clients.get(name).reconnects; },
  async refresh({ name = "main", key = "events" }) {
    const entry = clients.get(name);
    const status = await opcua.callConditionRefresh(entry.session, entry.subscriptions.get(key).subscriptionId);
    return status === undefined ? "Good" : plain(status);
  },
  async history({ name = "main", node, start, end, count = 0 }) {
    const { session } = clients.get(name);
    const details = new opcua.ReadRawModifiedDetails({
      isReadModified: false, startTime: start ? new Date(start) : opcua.minDate, endTime: end ? new Date(end) : opcua.minDate,
      numValuesPerNode: count, returnBounds: false,
    });
    const values = [];
    let point;
    let status;
    do {
      const response = await session.historyRead(new opcua.HistoryReadRequest({
        historyReadDetails: details, timestampsToReturn: TimestampsToReturn.Both,
        nodesToRead: [{ nodeId: node, continuationPoint: point }],
      }));
      const [result] = response.results;
      status = result.statusCode.name;
      values.push(...((result.historyData && result.historyData.dataValues) || []).map(dataValue));
      point = result.continuationPoint && result.continuationPoint.length ? result.continuationPoint : null;
    } while (point);
    return { status, values };
  },
  async raw({ name = "main", request, fields }) {
    const { session } = clients.get(name);
    const message = new opcua[request](fields);
    const response = await session.performMessageTransaction(message);
    return plain(response);
  },
};

let manager;

async function main() {
  const folder = process.argv[5];
  manager = new opcua.OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: true });
  await manager.initialize();
  process.stdout.write(`${JSON.stringify({ id: 0, result: "ready" })}\n`);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    // Answers keep no order: a long operation must not hold up the others.
    Promise.resolve().then(() => operations[request.op](request)).then(
      (result) => process.stdout.write(`${JSON.stringify({ id: request.id, result: result ?? null })}\n`),
      (error) => process.stdout.write(`${JSON.stringify({ id: request.id, error: String(error.message || error) })}\n`));
  }
  process.exit(0);
}

main();
