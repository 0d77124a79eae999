"""A value for each parameter in the paths of the endpoints."""

PATH_VALUES = {
    "upload_id": "upl_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "track_id": "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "job_id": "job_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "deployment_id": "dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "device_id": "demo-0001",
    "version": "1",
    "provider": "google",
    "revoked": "ses_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "key_id": "key_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "user_id": "usr_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "format": "midi",
    "artefact_id": "art_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "token": "lnk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "alarm_id": "alm_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "webhook_id": "whk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "delivery_id": "dlv_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
}
