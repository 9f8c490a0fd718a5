-- Health of a Canary for Argo CD. Put it into the ConfigMap argocd-cm as resource.customizations.health.sluice.dev_Canary; docs/argo-cd.md
-- says how, and what changes with it.
local hs = {}
local reasons = {}
local states = {}
local messages = {}
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "Sluice has not looked at it yet"
  return hs
end
for _, c in ipairs(obj.status.conditions) do
  states[c.type] = c.status
  reasons[c.type] = c.reason
  messages[c.type] = c.message
end
local progress = reasons["Progressing"]
if states["Stalled"] == "True" then
  hs.status = "Degraded"
  hs.message = messages["Stalled"]
elseif progress == "WaitingForApproval" or progress == "HeldByUser" or progress == "Suspended" then
  hs.status = "Suspended"
  hs.message = messages["Progressing"]
elseif states["Progressing"] == "True" or states["Ready"] ~= "True" or progress == "Settling" or progress == "NoReplicas" then
  hs.status = "Progressing"
  hs.message = messages["Progressing"]
elseif states["Promoted"] == "False" then
  hs.status = "Degraded"
  hs.message = messages["Promoted"]
elseif states["Promoted"] == "True" then
  hs.status = "Healthy"
  hs.message = messages["Promoted"]
else
  hs.status = "Progressing"
  hs.message = messages["Progressing"]
end
return hs
